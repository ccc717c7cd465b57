from harness.design import score_text


def test_small_scores_keep_their_digits() -> None:
    assert [score_text(score) for score in (0.97314, 0.0, 2.526e-05, -0.5)] == [
        "0.9731",
        "0.0000",
        "2.526e-05",
        "-0.5000",
    ]
