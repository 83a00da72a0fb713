from __future__ import annotations

from framework.server.http.stall import StallWatch, count_untaken
from framework.types import Receive, Scope, Send
from tests.framework.server.http.serving import (
    GET,
    answer_with,
    build_protocol,
    serve,
    wait_for,
)


def test_what_a_client_takes_is_seen_behind_the_buffer_of_the_kernel() -> None:
    async def pour(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, bytes(30_000_000))

    with serve(pour, build_protocol()) as server, server.connect() as client:
        client.sendall(GET)
        wait_for(lambda: server.server.server_state.connections)
        [protocol] = server.server.server_state.connections
        transport = protocol.transport
        wait_for(lambda: count_untaken(transport) > transport.get_write_buffer_size() > 0)
        written = 30_000_000

        def read_some() -> bool:
            client.recv(10_000)
            return count_untaken(transport) < written - 500_000

        wait_for(read_some)
        assert transport.get_write_buffer_size() > 0


def test_what_was_taken_before_something_waited_does_not_count() -> None:
    watch = StallWatch(2, 100)
    assert not watch.is_stalled(0, is_due=False)
    seen = [watch.is_stalled(moved, is_due=True) for moved in (5000, 5000, 5199, 5300, 5400)]
    assert seen == [False, False, True, False, False]
