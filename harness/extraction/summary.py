"""summary.json: how an extracted network came to be, what it scores, how small and how fast it is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.extraction.description import Description
from harness.extraction.retraining import Retrained
from harness.records.provenance import provenance
from harness.records.record import NOTED, Record
from harness.sizing.ledger.size import Size
from harness.training.speed import Speed

FILE = "summary.json"
SCHEMA_VERSION = 1

#: Names under which the two networks are timed.
EXTRACTED = "extracted"
START = "start"


@dataclass(frozen=True, slots=True)
class Summary:
    """What there is to say of an extracted network beside what rebuilds it.

    What its method has noted, in the whole trial, is there too.

    folding_difference: largest difference of the output that folding the gates made, relative to its scale.
    failed_exports: file name -> why it could not be written.
    """

    record: Record
    description: Description
    retrained: Retrained
    folding_difference: float
    speeds: list[Speed]
    failed_exports: dict[str, str]

    @property
    def start(self) -> Size:
        """Size of the network that the method started from."""
        return self.retrained.start_size

    @property
    def extracted(self) -> Size:
        """Size of the extracted network."""
        return self.retrained.epochs[-1].size

    def to_json(self) -> dict[str, Any]:
        """The summary as it is written. Scores are accuracies, losses means over examples."""
        record, retrained = self.record, self.retrained
        return {
            "schema_version": SCHEMA_VERSION,
            "study": self.description.study,
            "trial_id": record.trial_id,
            "arm": record.arm,
            "params": record.params,
            "seeds": record.seeds,
            "selected_epoch": record.selected_epoch,
            "scores": {
                "recorded": {"validation": record.val_score, "test": record.test_score},
                "extracted": {"validation": retrained.val_score, "test": retrained.test_score},
            },
            "agreement": {
                "equal_to_record": not retrained.differences,
                "verdict": retrained.verdict(),
                "differences": list(retrained.differences),
                "changed_circumstances": list(retrained.circumstances),
            },
            "folding_difference": self.folding_difference,
            "size": {START: asdict(self.start), EXTRACTED: asdict(self.extracted)},
            "speed": [asdict(speed) for speed in self.speeds],
            "failed_exports": self.failed_exports,
            "noted": [
                {"epoch": event.epoch, "step": event.step, "found": event.account[NOTED]}
                for event in record.events
                if NOTED in event.account
            ],
            "epochs": [asdict(epoch) for epoch in retrained.epochs],
            "provenance": provenance(),
        }

    def write(self, folder: Path) -> None:
        """Write summary.json into a folder."""
        text = json.dumps(self.to_json(), indent=1, allow_nan=False)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")
