"""The bodies of metered answers: an exchange watches their bytes pass, and ends with them.

In: another transport's stream, the exchange. Out: the same bytes, less the chunk that only the meter asked for; unpacked
where the exchange has to see what is in them.
"""

from collections.abc import AsyncIterator, Iterator

import httpx2

from chatkit.ledger.exchange import Exchange


class MeteredStream(httpx2.SyncByteStream):
    """The body of a metered answer."""

    def __init__(self, inner: httpx2.SyncByteStream, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        try:
            for data in _unpacked(self._inner, exchange) if exchange.unpacks else self._inner:
                if passed := exchange.take(data):
                    yield passed
        except BaseException as error:
            if rest := _rest_of_the_broken(exchange, error):
                yield rest
            raise
        if rest := _rest_of_the_whole(exchange):
            yield rest

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._exchange.end("close")


class AsyncMeteredStream(httpx2.AsyncByteStream):
    """The body of a metered answer, for an async client."""

    def __init__(self, inner: httpx2.AsyncByteStream, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        try:
            async for data in _unpacked_later(self._inner, exchange) if exchange.unpacks else self._inner:
                if passed := exchange.take(data):
                    yield passed
        except BaseException as error:
            if rest := _rest_of_the_broken(exchange, error):
                yield rest
            raise
        if rest := _rest_of_the_whole(exchange):
            yield rest

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end("close")


def _rest_of_the_whole(exchange: Exchange) -> bytes:
    rest = exchange.rest()
    exchange.end("end")
    return rest


def _rest_of_the_broken(exchange: Exchange, error: BaseException) -> bytes:
    rest = exchange.rest(whole=False) if isinstance(error, Exception) else b""  # after a cancel, nobody reads on
    exchange.end(error)
    return rest if isinstance(error, httpx2.HTTPError) else b""


def _unpacked(stream: httpx2.SyncByteStream, exchange: Exchange) -> Iterator[bytes]:
    return httpx2.Response(200, headers={"content-encoding": exchange.coding}, stream=stream).iter_bytes()


def _unpacked_later(stream: httpx2.AsyncByteStream, exchange: Exchange) -> AsyncIterator[bytes]:
    return httpx2.Response(200, headers={"content-encoding": exchange.coding}, stream=stream).aiter_bytes()
