from __future__ import annotations

from hypothesis import given, strategies as st

from framework.server.slots import find_free_slot


@given(st.sets(st.integers(0, 40)), st.integers(0, 20))
def test_the_slot_is_the_lowest_that_is_free(used: set[int], first: int) -> None:
    slot = find_free_slot(used, first=first)
    assert slot >= first
    assert slot not in used
    assert set(range(first, slot)) <= used


@given(st.sets(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_the_slot_of_one_that_has_died_comes_first(used: set[int], vacated: list[int]) -> None:
    slot = find_free_slot(used, vacated=vacated)
    free = [number for number in vacated if number not in used]
    assert slot == (free[0] if free else find_free_slot(used))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=200))
def test_however_workers_come_and_go_slots_are_unique_and_few(
    changes: list[tuple[bool, int]],
) -> None:
    alive: set[int] = set()
    for comes, index in changes:
        if comes and len(alive) < 5:
            slot = find_free_slot(alive)
            assert slot not in alive
            alive.add(slot)
        elif alive and not comes:
            alive.remove(sorted(alive)[index % len(alive)])
        assert all(slot < 5 for slot in alive)
