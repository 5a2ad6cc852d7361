"""What has become of each phase in each entity, and what that means for those that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

from utils.config import PHASE_NAMES
from utils.entities import ENTITY_NAMES, dependents_of
from utils.error_handler import ExitCode, MigrationError
from utils.logger import get_logger
from utils.run.lifecycle import supersede
from utils.run.run import COMPLETE, Run
from utils.run.standing import standing_of

SettingsOf = Callable[[Run, str, str], str]
"""Of a run, a phase and an entity: a digest of the settings that shape what the phase does."""


@dataclass
class Outcomes:
    """The outcomes of one run: what is done, what goes on, and what was set aside.

    In a run that resumes, what is complete for the same inputs and settings (`settings_of`) is not
    done again. With `migration.continueOnError`, an entity that fails as a whole is set aside with
    those that need it, and the others go on.
    """

    run: Run
    settings_of: SettingsOf
    failed: dict[str, MigrationError] = field(default_factory=dict)

    def begins(self, phase: str) -> None:
        """A phase is at work from now on: no earlier verdict on it, or on what follows, holds."""
        supersede(self.run, phase)
        self.run.progress.phase = phase
        if phase != "verify":
            self.run.manifest.phases.pop("verify", None)

    def skips(self, phase: str, entity: str) -> bool:
        """Whether a resumed run has nothing left to do here; if so, it says so and moves on."""
        skipped = self.has_done(phase, entity)
        if skipped:
            self.run.leave(phase, entity)
            self.run.progress.skipped(phase, entity)
            get_logger().info("%s of %s is already complete", phase.capitalize(), entity)
        return skipped

    def has_done(self, phase: str, entity: str) -> bool:
        """Whether a resumed run has nothing left to do here."""
        return self.run.resuming and self.is_done(phase, entity)

    def is_done(self, phase: str, entity: str) -> bool:
        """Whether a phase has done an entity, with the inputs and settings that there are now."""
        files = self.run.workspace
        inputs = {
            "extract": (),
            "transform": (files.extracted(entity),),
            "validate": (files.transformed(entity),),
            "load": (files.transformed(entity),),
        }[phase]
        return self.run.is_complete(
            phase,
            entity,
            inputs=self.run.sha_of(*inputs),
            settings=self.settings_of(self.run, phase, entity),
        )

    def are_complete(self) -> bool:
        """Whether everything is done, up to the load (what follows it changes nothing)."""
        return all(self.is_done(*place) for place in product(PHASE_NAMES[:4], ENTITY_NAMES))

    def is_in_the_table(self, entity: str) -> bool:
        """Whether all of an entity but its quarantine was loaded, by the rules of now."""
        mapped = self.run.manifest.phase("transform", entity)
        loaded = self.run.manifest.phase("load", entity)
        return bool(
            mapped
            and mapped.settings == self.settings_of(self.run, "transform", entity)
            and loaded
            and loaded.status == COMPLETE
        )

    def set_aside(self, phase: str, entity: str, error: MigrationError) -> None:
        """An entity failed as a whole: raise the error, or leave out those that need it, too."""
        if not self.run.config.migration.continue_on_error:
            raise error
        self.run.fail(phase, entity, error.message)
        self.failed[entity] = error
        say = get_logger().error
        say("%s of %s failed: %s", phase.capitalize(), entity, error.message)
        say("What to do: %s", error.remedy)
        for other in dependents_of(entity):
            if other not in self.failed:
                self.failed[other] = MigrationError(f"they need {entity}", remedy=error.remedy)
                say("%s are left out: they need %s", other.capitalize(), entity)

    def going_on(self, entities: Sequence[str]) -> list[str]:
        """The entities that have not failed. When there are none left, raises what was the first
        to go wrong."""
        left = [name for name in entities if name not in self.failed]
        if not left:
            raise next(iter(self.failed.values()))
        return left

    def what_failed(self) -> str:
        """The entities that were set aside, with the reasons; "" when there are none."""
        return "; ".join(f"{name}: {error.message}" for name, error in self.failed.items())

    def exit_code(self) -> ExitCode:
        """How it stands: FAILED with an entity set aside, QUARANTINED with records there or items
        of S9 in no table, or DONE."""
        if self.failed:
            return ExitCode.FAILED
        held_back = standing_of(self.run.manifest).is_held_back
        return ExitCode.QUARANTINED if held_back else ExitCode.DONE
