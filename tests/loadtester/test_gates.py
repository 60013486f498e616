"""Gates over real HTTP, in memory and in a file."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from loadtester.asking import CLOSED, DONE, OPEN, gate, load_tester, metric
from serinus.loadtester.gate_file import FileGates
from serinus.loadtester.gates import LONGEST_KEY, MemoryGates, gate_key
from serinus.loadtester.payload import Payload, PayloadError
from serinus.loadtester.settings import Settings

GATES_OPEN = "serinus_loadtester_gates_open"


async def test_approve_and_halt_need_no_body() -> None:
    async with load_tester() as client:
        for method in ("GET", "POST"):
            for path, expected in (("approve", (200, "OK")), ("halt", CLOSED)):
                answer = await client.request(method, f"/gate/{path}")
                assert (answer.status, await answer.text()) == expected


@pytest.mark.parametrize("kind", ["gate", "rollback"])
async def test_a_gate_is_closed_until_it_is_opened(kind: str) -> None:
    async with load_tester() as client:
        assert await gate(client, f"/{kind}/check") == CLOSED
        assert await gate(client, f"/{kind}/close") == DONE
        for _ in range(2):
            assert await gate(client, f"/{kind}/open") == DONE
            assert await gate(client, f"/{kind}/check") == OPEN
        assert await metric(client, GATES_OPEN) == 1
        for other in ({"name": "other"}, {"namespace": "other"}):
            assert await gate(client, f"/{kind}/check", **other) == CLOSED
        assert await gate(client, f"/{kind}/close") == DONE
        assert await gate(client, f"/{kind}/check") == CLOSED
        assert await metric(client, GATES_OPEN) == 0


async def test_each_gate_is_its_own() -> None:
    """A canary's gate, its rollback's, and those that metadata name; also of a canary whose name
    looks like a gate's."""
    each = [
        (kind, name, metadata)
        for kind in ("gate", "rollback")
        for name in ("podinfo", "rollback.podinfo")
        for metadata in ({}, {"gate": "confirm-promotion"}, {"gate": "rollback"})
    ]
    for kind, name, metadata in each:
        async with load_tester() as client:
            assert await gate(client, f"/{kind}/open", name, **metadata) == DONE
            opened = [
                one
                for one in each
                if await gate(client, f"/{one[0]}/check", one[1], **one[2]) == OPEN
            ]
        assert opened == [(kind, name, metadata)]


async def test_flaggers_payloads_of_any_method_and_phase() -> None:
    async with load_tester() as client:
        body = '{"name":"podinfo","namespace":"test","phase":"Progressing","checksum":"1"}'
        assert (await client.put("/gate/open", data=body)).status == 202
        assert (await client.request("GET", "/gate/check", data=body)).status == 200


async def test_only_namespaces_that_match_have_gates() -> None:
    async with load_tester(Settings(namespaces=re.compile("^team-"))) as client:
        for path in ("open", "check", "close"):
            assert await gate(client, f"/gate/{path}") == CLOSED
        assert await gate(client, "/gate/open", namespace="team-a") == DONE
        assert await gate(client, "/gate/check", namespace="team-a") == OPEN


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "the body is not a webhook's payload in JSON"),
        ("{}", "whose gate? name and namespace must be a canary's"),
        ('{"name":"podinfo","namespace":"a.b"}', "whose gate?"),
        ('{"name":"a_b","namespace":"test"}', "whose gate?"),
        ('{"name":"a","namespace":"b","metadata":{"gate":"A B"}}', "metadata.gate must be"),
        (f'{{"name":"{"a" * 253}","namespace":"b"}}', "longer than 253 together"),
    ],
)
async def test_gates_of_nobody(body: str, words: str) -> None:
    async with load_tester() as client:
        for path in ("/gate/open", "/gate/check", "/rollback/close"):
            answer = await client.post(path, data=body)
            assert answer.status == 400
            assert words in await answer.text()


labels = some.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
wanted = some.tuples(
    some.lists(labels, min_size=1, max_size=3).map(".".join),
    labels,
    some.one_of(some.just(""), labels),
    some.booleans(),
)


@given(wanted, wanted)
def test_no_two_gates_share_a_key(
    one: tuple[str, str, str, bool], other: tuple[str, str, str, bool]
) -> None:
    keys = []
    for name, namespace, named, rollback in (one, other):
        payload = Payload(name, namespace, metadata={"gate": named})
        keys.append(gate_key(payload, rollback=rollback))
        assert re.fullmatch("[-._a-zA-Z0-9]+", keys[-1])
    assert (keys[0] == keys[1]) == (one == other)


@given(some.text(), some.text(), some.text())
def test_a_key_or_a_refusal(name: str, namespace: str, named: str) -> None:
    try:
        key = gate_key(Payload(name, namespace, metadata={"gate": named}), rollback=True)
    except PayloadError:
        return
    assert len(key) <= LONGEST_KEY


async def test_a_file_keeps_gates_and_shares_them(tmp_path: Path) -> None:
    path = tmp_path / "gates.json"
    async with load_tester(gates=FileGates(path)) as one:
        async with load_tester(gates=FileGates(path)) as other:
            assert await gate(one, "/gate/open") == DONE
            assert await gate(other, "/gate/check") == OPEN
            assert await gate(other, "/rollback/open") == DONE
            assert await metric(one, GATES_OPEN) == 2
        assert await gate(one, "/rollback/check") == OPEN
    assert path.read_text() == '{"podinfo.test":"open","rollback_podinfo.test":"open"}'
    async with load_tester(gates=FileGates(path)) as later:
        assert await gate(later, "/gate/check") == OPEN
        assert await gate(later, "/gate/close") == DONE
    assert path.read_text() == '{"rollback_podinfo.test":"open"}'


async def test_writers_of_a_file_do_not_undo_each_other(tmp_path: Path) -> None:
    stores = [FileGates(tmp_path / "gates") for _ in range(4)]
    keys = [f"c{number}.test" for number in range(40)]
    puts = (stores[number % 4].put(key, True) for number, key in enumerate(keys))
    await asyncio.gather(*puts)
    assert await stores[0].opened() == set(keys)
    closing = (stores[number % 3].put(key, False) for number, key in enumerate(keys[1:]))
    await asyncio.gather(*closing)
    assert await stores[3].opened() == {"c0.test"}


async def test_gates_that_cannot_be_had_are_503_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "gates"
    async with load_tester(gates=FileGates(path)) as client:
        path.write_text("[]")
        for what in ("check", "open"):
            answer = await client.post(
                f"/gate/{what}", json={"name": "podinfo", "namespace": "test"}
            )
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert f'the file {path} does not hold gates, such as {{"podinfo.test":"open"}}' in (
                await answer.text()
            )
        assert path.read_text() == "[]"
        assert await metric(client, GATES_OPEN) != await metric(client, GATES_OPEN)
        assert (await client.get("/healthz")).status == 200
        path.unlink()
        assert await gate(client, "/gate/open") == DONE
        assert await metric(client, GATES_OPEN) == 1
    async with load_tester(gates=FileGates(tmp_path / "no" / "gates")) as client:
        status, text = await gate(client, "/gate/check")
        assert (status, text) == (503, f"there is no folder {tmp_path / 'no'} for gates")


async def test_what_is_not_the_word_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "gates").write_text('{"podinfo.test":"closed"}')
    async with load_tester(gates=FileGates(tmp_path / "gates")) as client:
        assert await gate(client, "/gate/check") == CLOSED


async def test_memory_forgets() -> None:
    async with load_tester(gates=MemoryGates()) as client:
        assert await gate(client, "/gate/open") == DONE
    async with load_tester(gates=MemoryGates()) as client:
        assert await gate(client, "/gate/check") == CLOSED
