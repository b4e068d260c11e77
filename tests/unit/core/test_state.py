"""The life of a session, as tables."""

from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core.locale import en
from run_qarnot.core.state import (
    ALIVE,
    FINAL,
    NEXT,
    RESTARTS,
    EndReason,
    Moment,
    State,
    observed_state,
    reachable,
)

ORDER: list[State] = [state for state in State if state is not State.UNKNOWN]  # in which a run goes through them
moments = st.builds(Moment, st.integers(1, 3), st.integers(0, 4), st.sampled_from(list(State)))


def test_every_state_is_alive_or_final_but_unknown() -> None:
    assert set(ORDER) == ALIVE | FINAL


def test_every_state_and_reason_has_its_sentence() -> None:
    assert set(en.STATES) == {state.value for state in State}
    assert set(en.END_REASONS) == {reason.value for reason in EndReason}


def test_the_clusters_words_are_known_in_any_case() -> None:
    assert observed_state("FullyExecuting") is State.STARTING
    assert observed_state("SUBMITTED") is State.WAITING
    assert observed_state("DownloadingResults") is State.SAVING


@given(st.text())
def test_a_word_that_is_not_known_is_never_an_end(word: str) -> None:
    known = "cancelled deleted success failure".split()
    assert observed_state(word) not in FINAL or word.lower() in known


@given(st.lists(moments, max_size=30))
def test_no_order_of_observations_leads_back(seen: list[Moment]) -> None:
    """(run, attempt, state) never falls, whatever a slow or confused cluster shows."""
    now = Moment(1, 0, State.PREPARING)
    for moment in seen:
        if moment.may_follow(now):
            assert moment.state is not State.UNKNOWN
            assert moment.run > now.run or (moment.run == now.run and now.state not in FINAL)
            if moment.run == now.run and moment.state not in FINAL:
                assert (moment.attempt, ORDER.index(moment.state)) >= (now.attempt, ORDER.index(now.state))
            now = moment


def test_a_new_attempt_may_go_back_to_the_queue() -> None:
    assert Moment(1, 2, State.WAITING).may_follow(Moment(1, 1, State.READY))
    assert not Moment(1, 1, State.WAITING).may_follow(Moment(1, 1, State.READY))
    assert Moment(1, 2, State.SAVING).may_follow(Moment(1, 1, State.READY)), "steps are missed"
    assert not Moment(1, 2, State.PREPARING).may_follow(Moment(1, 1, State.READY)), "it is submitted once"


def test_only_another_run_may_follow_the_end_of_one() -> None:
    for state in set(State) - {State.UNKNOWN}:
        for end in FINAL:
            assert Moment(2, 0, state).may_follow(Moment(1, 3, end))
            assert not Moment(1, 4, state).may_follow(Moment(1, 3, end))
        assert not Moment(1, 4, state).may_follow(Moment(2, 0, State.PREPARING)), "what is seen of an earlier run"


def test_the_table_names_every_state_and_every_life_can_end() -> None:
    assert set(NEXT) == set(ORDER)
    for state in ALIVE:
        assert reachable(state) & FINAL, f"{state} has no end"
        assert state not in reachable(state), "nothing leads back"
        assert all(ORDER.index(later) > ORDER.index(state) for later in reachable(state))
    assert RESTARTS <= ALIVE


def test_every_pair_of_states() -> None:
    for before in ORDER:
        for after in ORDER:
            believed = Moment(1, 1, after).may_follow(Moment(1, 1, before))
            allowed = after is before or after in reachable(before) or after in FINAL
            assert believed == (before not in FINAL and allowed), (before, after)
