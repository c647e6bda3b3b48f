-- Tables of the database keycloak, named as Keycloak names them.
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL synchronous_commit = off;
CREATE TABLE public.realm (id varchar(36) PRIMARY KEY, name varchar(255) UNIQUE, enabled boolean NOT NULL DEFAULT false);
INSERT INTO public.realm VALUES ('master', 'master', true), ('runai', 'runai', true);
CREATE TABLE public.client (
    id varchar(36) PRIMARY KEY,
    client_id varchar(255),
    realm_id varchar(36) REFERENCES public.realm,
    UNIQUE (realm_id, client_id)
);
INSERT INTO public.client SELECT md5('client' || n), 'client-' || n, CASE n % 2 WHEN 0 THEN 'master' ELSE 'runai' END FROM generate_series(1, 30) AS n;
CREATE TABLE public.user_entity (
    id varchar(36) PRIMARY KEY,
    email varchar(255),
    username varchar(255),
    realm_id varchar(36) REFERENCES public.realm,
    created_timestamp bigint,
    UNIQUE (realm_id, username)
);
INSERT INTO public.user_entity
    SELECT md5('user' || n), 'user' || n || '@lab.internal', 'user' || n, 'runai', 1704067200000 + n FROM generate_series(1, 500) AS n;
CREATE INDEX idx_user_email ON public.user_entity (email);
CREATE TABLE public.credential (
    id varchar(36) PRIMARY KEY,
    salt bytea,
    type varchar(255),
    user_id varchar(36) REFERENCES public.user_entity,
    secret_data text
);
INSERT INTO public.credential
    SELECT md5('credential' || n), decode(md5(n::text), 'hex'), 'password', md5('user' || n), '{"value":"' || md5('hash' || n) || '"}'
    FROM generate_series(1, 500) AS n;
CREATE TABLE public.event_entity (id varchar(36) PRIMARY KEY, event_time bigint, type varchar(255), details_json text);
INSERT INTO public.event_entity
    SELECT md5('event' || n), 1735689600000 + n, 'LOGIN', '{"n":' || n || '}' FROM generate_series(1, 1000) AS n;
CREATE TABLE public.databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL, dateexecuted timestamp NOT NULL, orderexecuted int NOT NULL);
INSERT INTO public.databasechangelog SELECT n || '.0.0', 'keycloak', '2024-01-01', n FROM generate_series(1, 120) AS n;
CREATE TABLE public.databasechangeloglock (id int PRIMARY KEY, locked boolean NOT NULL);
INSERT INTO public.databasechangeloglock VALUES (1, false);
COMMIT;
