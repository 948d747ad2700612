"""Find the API server and the credentials, as the official client does: in a pod, or from a kubeconfig."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson
from kubernetes import config
from kubernetes.client import Configuration

from tidemill import __version__

TOKEN_SECONDS = 30.0
"""Seconds for which a token is used before it is read again; the kubelet replaces tokens hourly."""


class NotConnectedError(Exception):
    """Neither a service account nor a kubeconfig was found."""


class Connection:
    """The address of the API server and our credentials, refreshed by the configuration of the official client."""

    def __init__(self, configuration: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._configuration = configuration
        self._clock = clock
        self._token: str | None = None
        self._read_at: float | None = None
        self.server: str = configuration.host.rstrip("/")

    def session(self, *, connections: int = 0) -> aiohttp.ClientSession:
        """Return a new HTTP session with our credentials; 0 connections means no limit."""
        return aiohttp.ClientSession(
            base_url=self.server,
            connector=aiohttp.TCPConnector(limit=connections, ssl=self._ssl()),
            headers={"User-Agent": f"tidemill/{__version__}", "Accept": "application/json"},
            middlewares=(self._authorize,),
            json_serialize=lambda value: orjson.dumps(value).decode(),
            timeout=aiohttp.ClientTimeout(total=30, sock_connect=5),
        )

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = await self._authorization()
        if token:
            request.headers["Authorization"] = token
        response = await handler(request)
        if response.status == 401:
            # Revoked or rotated early: the next request reads it again.
            self._read_at = None
        return response

    async def _authorization(self) -> str | None:
        now = self._clock()
        if self._read_at is None or now - self._read_at > TOKEN_SECONDS:
            # A credential plugin may start a process, so not on the event loop.
            self._token = await asyncio.to_thread(self._look_up)
            self._read_at = now
        return self._token

    def _look_up(self) -> str | None:
        if self._configuration.username:
            return str(self._configuration.get_basic_auth_token())
        key = self._configuration.get_api_key_with_prefix("BearerToken")
        if not key:
            return None
        scheme, _, token = str(key).strip().rpartition(" ")
        return f"{scheme.capitalize() or 'Bearer'} {token}"

    def _ssl(self) -> ssl.SSLContext | bool:
        if not self.server.startswith("https://"):
            return False
        context = ssl.create_default_context(cafile=self._configuration.ssl_ca_cert)
        if self._configuration.cert_file:
            context.load_cert_chain(self._configuration.cert_file, self._configuration.key_file)
        if not self._configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def connect(kubeconfig: str | None = None) -> Connection:
    """Return the connection of this process: by the ServiceAccount of the pod, else the kubeconfig; raises NotConnectedError."""
    configuration = Configuration()
    try:
        if kubeconfig:
            config.load_kube_config(kubeconfig, client_configuration=configuration)
        else:
            try:
                config.load_incluster_config(configuration)
            except config.ConfigException:
                config.load_kube_config(client_configuration=configuration)
    except (config.ConfigException, OSError) as problem:
        raise NotConnectedError(
            f"no connection to a cluster: {problem}; run in a pod with a ServiceAccount, or set KUBECONFIG"
        ) from problem
    return Connection(configuration)
