"""A stand-in of Run:ai's REST API for a lab: the documented shapes, both kinds of tokens, faults on command.

``python -m lab.runai.rest_api NAME`` runs until SIGTERM, on loopback. Shapes:
https://run-ai-docs.nvidia.com/api (Tokens, Pods, Workloads, Workspaces, Trainings, Distributed).
"""

from __future__ import annotations

import hmac
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from lab import state
from lab.api import Api, ApiError
from lab.layout import Lab
from lab.runai import rest_faults, rest_workloads
from lab.runai.rest_process import CLIENT, LOOPBACK, PORT, TOKENS_BEGIN, secret_file

_LIFETIME = 3600
_SLOW_SECONDS = 20.0


class RestApi:
    """The API, on one lab's cluster."""

    def __init__(self, lab: Lab) -> None:
        self._api = Api(lab.kubeconfig)
        self._secret = secret_file(lab).read_text()
        self._faults = rest_faults.path(lab)
        self._tokens: dict[str, float] = {}

    def application(self) -> Starlette:
        one = "/api/v1/workloads/{path:str}/{id:str}"
        return Starlette(
            routes=[
                Route("/api/v1/token", self._token, methods=["POST"]),
                Route("/api/v1/workloads/pods", self._guarded(self._pods), methods=["GET"]),
                Route("/api/v1/workloads/{id:str}", self._guarded(self._workload), methods=["GET"]),
                Route(f"{one}/suspend", self._guarded(self._suspend), methods=["POST"]),
                Route(f"{one}/resume", self._guarded(self._resume), methods=["POST"]),
            ]
        )

    async def _token(self, request: Request) -> Response:
        given = await request.json()
        names = {"client_credentials": ("clientID", "clientSecret"), "app_token": ("appID", "appSecret")}
        who, what = names.get(given.get("grantType"), ("", ""))
        if not who:
            return _error(400, "Bad request - unknown grantType")
        wrong = given.get(who) != CLIENT or not hmac.compare_digest(str(given.get(what, "")), self._secret)
        if wrong or self._happens("token-refused"):
            return _error(401, "Unauthorized", f"invalid {who} or {what}")
        token = TOKENS_BEGIN + secrets.token_urlsafe(32)
        self._tokens[token] = time.monotonic() + _LIFETIME
        return JSONResponse({"accessToken": token, "idToken": token, "expiresIn": _LIFETIME})

    def _guarded(self, answer: Callable[[Request], Response]) -> Any:
        async def handler(request: Request) -> Response:
            return await run_in_threadpool(self._answer, request, answer)

        return handler

    def _answer(self, request: Request, answer: Callable[[Request], Response]) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._tokens.get(token, 0.0) < time.monotonic():
            return _error(401, "Unauthorized", "the token is missing, unknown, or has expired")
        if self._happens("unauthorized"):
            return _error(401, "Unauthorized", "the service account is disabled")
        if self._happens("slow"):
            time.sleep(_SLOW_SECONDS)
        if self._happens("too-many"):
            return _error(429, "Too many requests", headers={"Retry-After": "1"})
        if self._happens("internal-error"):
            return _error(500, "Internal server error", "the workload service does not answer")
        if self._happens("odd-answer"):
            return HTMLResponse("<!DOCTYPE html><title>Sign in</title>")
        try:
            return answer(request)
        except ApiError as error:
            return _error(503, "Service unavailable", str(error))

    def _pods(self, request: Request) -> Response:
        query = request.query_params
        filters = dict(one.split("==", 1) for one in query.getlist("filterBy") if "==" in one)
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", "50"))
        if not 1 <= limit <= 500:
            return _error(400, "Bad request - limit must be 1 to 500")
        full = query.get("verbosity") == "full"
        found = [
            work.pod_document(pod, full=full)
            for work in rest_workloads.every(self._api).values()
            for pod in work.pods
            if filters.get("nodeName") in (None, pod["spec"].get("nodeName"))
            and not (query.get("completed") == "false" and pod["status"].get("phase") in ("Succeeded", "Failed"))
        ]
        page = found[offset : offset + limit]
        more = {"next": offset + limit} if offset + limit < len(found) else {}
        return JSONResponse({"pods": page, **more})

    def _workload(self, request: Request) -> Response:
        found = rest_workloads.every(self._api).get(request.path_params["id"])
        return JSONResponse(found.document()) if found is not None else _missing(request)

    def _suspend(self, request: Request) -> Response:
        if self._happens("refuses-suspend"):
            return _error(400, "Bad request - the workload cannot be suspended", "a policy of its project forbids it")
        return self._change(request, suspended=True)

    def _resume(self, request: Request) -> Response:
        if self._happens("refuses-resume"):
            return _error(400, "Bad request - the workload cannot be resumed", "the quota of its project is used up")
        return self._change(request, suspended=False)

    def _change(self, request: Request, *, suspended: bool) -> Response:
        found = rest_workloads.every(self._api).get(request.path_params["id"])
        if found is None or found.path != request.path_params["path"]:
            return _missing(request)
        if found.suspended == suspended:
            word = "suspended" if suspended else "running"
            return _error(409, f"Conflict - the workload is {word} already")
        if not self._happens("forgets"):
            rest_workloads.set_suspended(self._api, found, suspended=suspended)
        return JSONResponse({"message": "Accepted"}, status_code=202)

    def _happens(self, fault: str) -> bool:
        return rest_faults.take(self._faults, fault)


def _missing(request: Request) -> Response:
    return _error(404, "The specified resource was not found", f"workload {request.path_params['id']}")


def _error(status: int, message: str, details: str = "", headers: dict[str, str] | None = None) -> Response:
    body: dict[str, Any] = {"code": status, "message": message}
    return JSONResponse({**body, "details": details} if details else body, status_code=status, headers=headers)


def main() -> int:
    lab = Lab(sys.argv[1])
    port = int(state.read(lab)[PORT])
    uvicorn.run(RestApi(lab).application(), host=LOOPBACK, port=port, log_level="info", access_log=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
