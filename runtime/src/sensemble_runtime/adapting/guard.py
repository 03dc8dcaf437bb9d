"""The guard of a correction: it is used while held-back scenes show that it helps, and no longer.

The unit is a scene: a run of windows about which the teacher says the same. Windows of a scene are near
copies of each other, so a scene counts as one outcome, and is judged before anything is learned from it. All
outcomes are bets (`evidence`), because they are looked at after every scene.

**The guarantee.** Let a scene's windows depend on earlier scenes only through the world that both show.

- If the correction foretells its teacher's answer no better than the shipped head does (by the logarithmic
  score), the chance that it ever comes into use is at most `ALPHA`. The chance that it does while the
  teacher's answers have nothing to do with what the sensor perceives (a frozen camera, one that sees another
  room, random or permuted answers) is at most `UNBORNE`: then the shipped head's own opinion, less its mean,
  agrees with them only as often as chance has it. And the correction must have agreed with its teacher about
  more of the newest scenes than the shipped head.
- Once either stops being so, the correction is dropped after a number of scenes that falls with how clearly.
- A pupil that used to agree with its teachers where both were sure is not retrained when they turn wrong: it
  is not taught what it denies, and the dispute is reported.
- It is not shown that the correction is right. A teacher that is right about most classes and always wrong in
  the same way about others is believed about those too, unless the shipped head denies them on the whole
  (`correction.fit`); so is one that is wrong in half of its answers at once. A person's labels are the
  remedy. Nor is anything shown about classes that were never taught.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from sensemble_runtime.adapting.evidence import Wealth

State = Literal["learning", "used", "dropped", "disputed"]

ALPHA = 0.1
"""The chance that a correction which does not help is ever used."""
UNBORNE = 0.02
"""The chance that a teacher whose answers have nothing to do with the sensor's windows is ever believed."""
PATIENCE = 100.0
"""Scenes after which, on average or later, a correction that still helps is dropped by mistake."""
CREDIBLE = 0.7
"""The share of windows about which a sure pupil must have agreed with a sure teacher to be believed later."""
GAIN = 0.02
"""By how much the share of scenes about which a correction agrees must be above the shipped head's, as far as
it was counted: below that, it is not worth its risk, whatever the evidence."""
LEAST = 0.3
"""The share of such windows below which one of the two is wrong, whichever it is: see `Guard.dispute`."""
SHOWN = 100  # scenes of which the agreement is shown, the newest


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one scene, means over its windows.

    Attributes:
        adapted: the share of windows about which the correction names the teacher's class.
        shipped: about which the shipped head does.
        gain: by how much the correction's log-probability of the teacher's class is above the shipped head's,
            cut at 2 either way and halved, in [-1, 1]. Both are equally loud. It tells two opinions apart in
            a third of the scenes that shares would need, for it differs where the named class does not.
        beyond: the share of windows about which the shipped head, less its mean logits on this sensor, names
            the teacher's class, less the share of all windows about which it names that class.
    """

    adapted: float
    shipped: float
    gain: float
    beyond: float


@dataclass(slots=True)
class Guard:
    """Decides whether a correction is used.

    Attributes:
        state: `learning`; `used`; `dropped`, because it no longer helped or its teacher was no longer
            corroborated, and learning again from nothing; `disputed`: teacher and pupil are both sure, and
            disagree so often that one of them must be wrong, so that neither teaches the other.
        better: evidence that the correction foretells the teacher's answer better than the shipped head does.
        worse: evidence that it does so less well, since it is used.
        corroborated: evidence that the shipped head's own opinion agrees with the teacher beyond chance.
        contradicted: evidence that it does so less than half as much as when the correction came into use.
        credible: whether the pupil has been shown to agree with sure teachers where it is sure itself; it is
            then not taught what it denies.
        agreeing: the evidence for that or, while there is a dispute, that the two agree again.
        disputes: evidence that the two agree too seldom.
        margin: by how much the shipped head agreed beyond chance when the correction came into use.
        recent: the newest outcomes, of those since the lessons began.
    """

    state: State = "learning"
    better: Wealth = field(default_factory=Wealth)
    worse: Wealth = field(default_factory=lambda: Wealth(restarts=True))
    corroborated: Wealth = field(default_factory=Wealth)
    contradicted: Wealth = field(default_factory=lambda: Wealth(restarts=True))
    credible: bool = False
    agreeing: Wealth = field(default_factory=Wealth)
    disputes: Wealth = field(default_factory=lambda: Wealth(restarts=True))
    margin: float = 0.0
    recent: deque[Outcome] = field(default_factory=lambda: deque(maxlen=SHOWN))

    @property
    def agreement(self) -> tuple[float, float]:
        """The agreement of the shipped head, and that of the correction, in the newest scenes; 0 if none."""
        n = max(len(self.recent), 1)
        shipped = sum(outcome.shipped for outcome in self.recent) / n
        return shipped, sum(outcome.adapted for outcome in self.recent) / n

    def judge(self, outcome: Outcome, *, varied: bool) -> str:
        """Settle the bets on a scene, and change the state if they say so.

        Args:
            outcome: of the scene, from before anything was learned from it.
            varied: whether enough different classes were taught for the correction to be used.

        Returns:
            Why the state changed to `used` or `dropped`, in words; empty where it did not.
        """
        self.recent.append(outcome)
        if self.state == "used":
            self.worse.add(-outcome.gain)
            self.contradicted.add(self.margin / 2 - outcome.beyond)
            if self.worse.total >= PATIENCE:
                return self._drop("it no longer agrees better than the bundle's own head")
            if self.contradicted.total >= PATIENCE:
                return self._drop("the bundle's own head no longer bears the teacher out")
            return ""
        self.better.add(outcome.gain)
        self.corroborated.add(outcome.beyond)
        shown = self.better.total >= 1 / ALPHA and self.corroborated.total >= 1 / UNBORNE
        shipped, adapted = self.agreement
        if varied and shown and adapted - shipped >= GAIN:
            self.margin = sum(outcome.beyond for outcome in self.recent) / len(self.recent)
            self.worse, self.contradicted = Wealth(restarts=True), Wealth(restarts=True)
            self.state = "used"
            return "it agrees better with its teacher than the bundle's own head"
        return ""

    def dispute(self, share: float) -> str:
        """Settle the bets on a scene in which pupil and teacher were sure, and agreed about `share` of it.

        A pupil that agreed with its teachers about more than `CREDIBLE` of such windows is right where it is
        sure; if it no longer agrees so often, its teachers have become wrong, and it is not retrained. A
        pupil that has never agreed may be sure of much that is wrong, like a model that hears a strange
        voice; it may be taught. But if the two agree about less than `LEAST`, nothing says which is wrong.

        Returns:
            Why the state changed to `disputed`, or from it to `learning`, in words; empty where it did not.
        """
        level = CREDIBLE if self.credible else LEAST
        if self.state == "disputed":
            self.agreeing.add(share - level)
            if self.agreeing.total < 1 / UNBORNE:
                return ""
            self.restart("learning")
            return "it and its teacher agree again where both are sure"
        if not self.credible:
            self.agreeing.add(share - CREDIBLE)
            self.credible = self.agreeing.total >= 1 / UNBORNE
        self.disputes.add(level - share)
        if self.disputes.total < PATIENCE:
            return ""
        self.restart("disputed")
        return "it and its teacher are both sure and seldom agree: one of them is wrong"

    def restart(self, state: State) -> None:
        """Begin again from nothing, except that a credible pupil stays so."""
        self.state = state
        self.better, self.corroborated = Wealth(), Wealth()
        self.agreeing, self.disputes = Wealth(restarts=state == "disputed"), Wealth(restarts=True)
        self.recent.clear()

    def _drop(self, reason: str) -> str:
        self.restart("dropped")
        return reason
