"""Closes connections over which no request comes. uvicorn waits for one for ever, each time with an open file."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 30.0  # for the headers; what follows is an upload, which has its own limit


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 in which each request has REQUEST_SECONDS to come, from the connection or its first byte on."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def _expect(self) -> None:
        waiting = self.conn.their_state is h11.IDLE
        if waiting and self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.close)
        elif not waiting and self._deadline:
            self._deadline.cancel()
            self._deadline = None
