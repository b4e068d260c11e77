"""What a run will cost is worked out from what earlier ones did cost, and never invented."""

from __future__ import annotations

import pytest

from run_qarnot.model.price import Price, usual_price


def test_the_usual_price_is_the_median_of_the_hours_of_earlier_runs() -> None:
    assert usual_price([(0.10, 3600), (0.08, 7200), (9.00, 3600)]) == pytest.approx(0.10)
    assert usual_price([(0.02, 1800)]) == pytest.approx(0.04)


@pytest.mark.parametrize("runs", [[], [(0.01, 59)], [(0.0, 0)]])
def test_of_too_little_no_price_is_made(runs: list[tuple[float, float]]) -> None:
    assert usual_price(runs) is None


def test_the_most_is_all_hours_on_all_machines() -> None:
    price = Price(0.04, 50)
    assert price.hourly(8) == pytest.approx(0.32)
    assert price.most(4) == pytest.approx(0.16)
    assert price.most(4, 8) == pytest.approx(1.28)
    assert (Price().hourly(), Price().most(4)) == (None, None)


def test_it_is_beyond_the_account_when_the_credits_do_not_pay_all_hours() -> None:
    assert Price(0.04, 0.10).is_beyond(4)
    assert not Price(0.04, 0.16).is_beyond(4)
    assert Price(0.04, 1).is_beyond(4, machines=8)
    assert Price(None, 0).is_beyond(1), "nothing is left: whatever it costs"
    assert not Price(None, 1).is_beyond(1), "nobody knows"
    assert not Price(0.04, None).is_beyond(1000), "nor here"
