"""All tests. What helper modules assert is told in full, as if the test itself had asserted it."""

import pytest

pytest.register_assert_rewrite("tests.making", "tests.runs.executors.driving", "tests.runs.executors.faults")
