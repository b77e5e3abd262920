"""One visit to a batch: what is known of it, what is done next, and when to come back. Knows nothing of Beam.

A batch is visited until it has ended, by whichever worker Beam hands it to. What a visit needs to know lies under the batch's
prefix; what it is given from the visit before only saves it from looking there. See `_claims` for who may send, and
`vision_grpc._job.settle` for what is concluded where an attempt left a claim and no operation.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import grpc

from vision_grpc._job.settle import Verdict, judge
from vision_grpc.beam._claims import Claims
from vision_grpc.errors import AuthError, CallError, ConfigError, ResultsError

if TYPE_CHECKING:
    from vision_grpc.beam._process import Process
    from vision_grpc.beam._settings import Batch

_log = logging.getLogger("vision_grpc.beam")

_OF_THE_CALLER = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED)
_UNKNOWN, _ABORTED = 2, 10
_LONGEST_PAUSE = 20.0

_LOST = {False: "the answer to the request was lost", True: "the request was accepted, but its operation is gone"}
_RESUBMIT = "resubmit_unknown=True sends it again"
_REASONS = {
    Verdict.ABSENT: (_UNKNOWN, f"{_LOST[False]}, and neither an operation nor an object of it was found; {_RESUBMIT}"),
    Verdict.BROKEN: (_ABORTED, f"{_LOST[True]} without having written this result"),
    Verdict.OVER: (_ABORTED, f"{_LOST[False]}; it was not accepted, or its operation failed without this result"),
    Verdict.UNDECIDED: (_UNKNOWN, f"{_LOST[False]}; the server lists no operations, and no object of it was found"),
}


@dataclass(frozen=True, slots=True)
class Known:
    """What a visit hands to the next one, through Beam.

    Attributes:
        operation: The batch's operation, once one is known.
        gone: The service does not know that operation any more.
        visits: Visits of this kind so far, by which the pauses grow.
        due: Unix time before which there is nothing to do.
    """

    operation: str | None = None
    gone: bool = False
    visits: int = 0
    due: float = 0.0


@dataclass(slots=True)
class Visit:
    """What came of a visit.

    Attributes:
        known: For the next visit.
        ended: The batch's operation has ended: its results, as many as there are, can be read, and there is no next visit.
        code, message: Why images of it have no result; None where it ended well.
        counts: What happened, for metrics.
        submit_seconds: How long the service took to accept it, where this visit sent it.
    """

    known: Known
    ended: bool = False
    code: int | None = None
    message: str | None = None
    counts: list[str] = field(default_factory=list)
    submit_seconds: float | None = None

    def again(self, seconds: float, known: Known | None = None) -> Visit:
        known = known or replace(self.known, visits=self.known.visits + 1)
        self.known = replace(known, due=time.time() + seconds)
        return self

    def end(self, code: int | None = None, message: str | None = None) -> Visit:
        self.ended, self.code, self.message = True, code, message
        return self


def visit(process: Process, batch: Batch, prefix: str, known: Known) -> Visit:
    """Does the next thing for a batch: sends it, asks for its operation, or looks for what became of it.

    Raises:
        CallError, AuthError, ConfigError: The service refuses for a reason that lies in the pipeline's settings or rights, or has
            refused everything for too long. The batch was not sent; a bundle that is run again goes on here.
        OSError: The output's bucket cannot be reached.
    """
    now = Visit(known)
    if known.operation is not None and not known.gone:
        return _ask(process, now, known.operation)
    claims = Claims(process.objects, prefix)
    found = claims.look()
    if found.operation is not None and not known.gone:
        now.counts.append("requests_found")
        return _ask(process, now, found.operation)
    if found.claims or known.gone:
        return _settle(process, batch, prefix, claims, found.claims, now)
    pause = process.reserve()
    if pause > 0:
        return now.again(pause, known)
    return _send(process, batch, prefix, claims, now)


def _ask(process: Process, now: Visit, operation: str) -> Visit:
    fresh = now.known.operation != operation
    known = Known(operation) if fresh else now.known
    outcome = process.outcome(operation)
    if outcome is None:
        pause = process.polling.interval(known.visits + 1, random.random())
        return now.again(pause, replace(known, visits=known.visits + 1))
    if isinstance(outcome, CallError):
        if outcome.code is not grpc.StatusCode.NOT_FOUND:
            raise outcome
        now.counts.append("operations_gone")
        return now.again(0.0, Known(operation, gone=True))
    now.counts.append("operations_ended")
    if outcome.HasField("error"):
        return now.end(outcome.error.code or _UNKNOWN, outcome.error.message)
    return now.end()


def _send(process: Process, batch: Batch, prefix: str, claims: Claims, now: Visit) -> Visit:
    # Before the claim: whatever goes wrong with it, nothing was sent.
    request = process.settings.request(batch, process.service.door, prefix)
    # Another attempt counts from the claim how long this one may be sending.
    until = time.monotonic() + process.settings.submit_timeout
    claim = claims.claim()
    if claim is None:
        return now.again(0.1 + random.random(), now.known)
    begun = time.monotonic()
    try:
        operation = process.submit(request, max(0.0, until - begun))
    except CallError as error:
        if error.ambiguous:
            _log.warning("a request is in doubt: %s (%s)", prefix, error)
            now.counts.append("requests_doubted")
            process.doubt(prefix, batch.part.images, frozenset([claim]), over=True)
            return now.again(_first_pause(process), Known())
        claims.void([claim])
        if error.transient:
            return _refused(process, error, now)
        if error.code in _OF_THE_CALLER:
            raise
        now.counts.append("requests_rejected")
        return now.end(error.code.value[0], error.message)
    except (AuthError, ConfigError) as error:
        # Nothing was sent.
        claims.void([claim])
        if isinstance(error, AuthError) and error.transient:
            return _refused(process, error, now)
        raise
    now.submit_seconds = time.monotonic() - begun
    now.counts.append("requests_accepted")
    claims.started(operation)
    process.outcome(operation)
    return now.again(process.polling.interval(1, random.random()), Known(operation, visits=1))


def _refused(process: Process, error: CallError | AuthError, now: Visit) -> Visit:
    refusal = process.refused(error)
    if not refusal.patient:
        raise error
    now.counts.append("requests_refused")
    return now.again(0.0, now.known)


def _settle(process: Process, batch: Batch, prefix: str, claims: Claims, standing: frozenset[str], now: Visit) -> Visit:
    settings = process.settings
    pause = min(_LONGEST_PAUSE, _first_pause(process) * 1.5 ** min(now.known.visits, 16))
    doubt = process.doubt(prefix, batch.part.images, standing, accepted=now.known.gone)
    moment = time.monotonic()
    try:
        listing = process.listing(doubt)
        shards = process.shards(prefix)
    except (CallError, AuthError, ResultsError) as error:
        # Nothing is concluded from a look that failed; but it is not waited for ever for one that does not.
        _log.warning("it cannot be found out now what became of %s: %s", prefix, error)
        doubt.blind = moment if doubt.blind is None else doubt.blind
        if moment - doubt.blind < settings.patience:
            return now.again(pause)
        process.settled(prefix)  # a run that looks again begins anew
        now.counts.append("requests_unknown")
        return now.end(_UNKNOWN, f"{_LOST[doubt.accepted]}, and for {settings.patience:g} s it could not be looked for: {error}")
    doubt.blind = None
    last = moment - doubt.since > settings.patience
    verdict = judge(doubt, now=moment, grace=settings.grace, listing=listing, shards=shards, last=last)
    if verdict is Verdict.OPEN:
        return now.again(pause)
    found = claims.look()
    if not now.known.gone and (found.operation is not None or found.claims != standing):
        # Another attempt has moved meanwhile; the verdict may not hold any more.
        return now.again(0.0)
    process.settled(prefix)
    now.counts.append("doubts_settled")
    if verdict is Verdict.FINISHED and listing is not None:
        claims.started(listing.finished[prefix])
        return now.end()
    if verdict is Verdict.WRITTEN:
        return now.end()
    _log.warning("%s: %s", prefix, _REASONS[verdict][1])
    if verdict is Verdict.ABSENT and settings.resubmit_unknown:
        claims.void(standing)
        return now.again(0.0, Known())
    now.counts.append("requests_unknown")
    return now.end(*_REASONS[verdict])


def _first_pause(process: Process) -> float:
    return min(1.0, max(0.02, process.settings.grace / 4))
