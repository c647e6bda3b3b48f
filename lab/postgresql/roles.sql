-- Run once in the database postgres: what only a dump of the globals holds, and the two databases.
\set ON_ERROR_STOP on
CREATE ROLE backend LOGIN CONNECTION LIMIT 100;
CREATE ROLE keycloak LOGIN;
CREATE ROLE reporting NOLOGIN;
GRANT reporting TO backend;
ALTER ROLE backend SET statement_timeout = '60s';
CREATE DATABASE backend OWNER backend;
CREATE DATABASE keycloak OWNER keycloak;
ALTER DATABASE backend SET timezone = 'UTC';
COMMENT ON DATABASE backend IS 'projects, users and workloads of the control plane';
