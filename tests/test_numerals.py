import math

import pytest

from pipeline.numerals import NumberKind, counted_share, with_interval, written


@pytest.mark.parametrize(
    ("numbers", "signed", "text"),
    [
        ((0.531, 0.401, 0.649), False, "0.53 [0.40, 0.65]"),
        ((0.531, -0.401, 0.649), True, "+0.53 [-0.40, +0.65]"),
        ((0.5, float("nan"), float("nan")), False, "0.50"),
        ((float("nan"),) * 3, False, ""),
    ],
)
def test_an_estimate_in_print(numbers: tuple[float, float, float], signed: bool, text: str) -> None:
    assert with_interval(*numbers, signed=signed) == text


def test_shares_are_written_with_their_interval() -> None:
    assert counted_share(203, 348) == "58.3 % [53.1, 63.4]"
    assert counted_share(0, 0) == ""


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1234, "count", "1,234"),
        (1234, "number", "1234"),
        (0.5833, "share", "58.3"),
        (-0.00004, "share", "0.0"),
        (-0.05, "points", "-5.0"),
        (0.0, "change", "+0.00"),
        (-0.001, "change", "+0.00"),
        (0.0004, "p", "< 0.001"),
        (0.0456, "p", "0.046"),
        (math.nan, "coefficient", ""),
        (None, "count", ""),
    ],
)
def test_a_number_is_written_as_all_of_its_kind_are(value: float | None, kind: NumberKind, text: str) -> None:
    assert written(value, kind) == text
