"""The API of `ingest` through its handler."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.ingest.runtime.logic import PAYLOAD_LOST
from services.ingest.runtime.model import PAYLOAD_BYTES
from services.ingest.tests.unit.fakes import Killed, Service, proxy_event
from slipway.testing.functions import Answer, Counted

NOBODY = "00000000-0000-4000-8000-000000000000"


def send(service: Service, payload: Any, **event: Any) -> Answer:
    return service.call(proxy_event("POST", "/data", body={"payload": payload}, **event))


def read(service: Service, record_id: str, **event: Any) -> Answer:
    return service.call(proxy_event("GET", "/data", query={"id": record_id}, **event))


class TestRecords:
    @pytest.mark.requirement("ingest: records")
    @pytest.mark.parametrize(("size", "in_bucket"), [(1, False), (4096, False), (4097, True)])
    def test_payload_returns_and_large_ones_use_the_bucket(self, service: Service, size: int, in_bucket: bool) -> None:
        sent = send(service, "x" * size)
        assert sent.status == 201
        record = sent.json
        assert sent.location == f"/data?id={record['id']}"
        assert read(service, record["id"]).json == record | {"payload": "x" * size}
        assert (service.payload_ids == {record["id"]}) is in_bucket
        assert ("payload" not in service.aws.items("records")[0]) is in_bucket

    @pytest.mark.requirement("ingest: records")
    def test_a_large_payload_is_stored_before_its_record(self, service: Service) -> None:
        # Given a function that is killed at its second write
        service.fate.before = 1
        with pytest.raises(Killed):
            send(service, "x" * 5000)

        # Then there is an unreferenced object, but no record without its payload
        assert len(service.payload_ids) == 1
        assert not service.aws.items("records")

    @pytest.mark.requirement("ingest: records")
    @pytest.mark.parametrize(
        ("payload", "fits"),
        [
            ("x" * PAYLOAD_BYTES, True),
            ("x" * (PAYLOAD_BYTES + 1), False),
            ('"' * (PAYLOAD_BYTES // 4), True),
            ('"' * (PAYLOAD_BYTES // 4 + 1), False),
            ("é" * (PAYLOAD_BYTES // 2), True),
            ("é" * (PAYLOAD_BYTES // 2 + 1), False),
        ],
        ids=["limit", "over", "quotes at the limit", "quotes over", "accents at the limit", "accents over"],
    )
    def test_the_limit_is_lambdas(self, service: Service, payload: str, fits: bool) -> None:
        answer = send(service, payload)
        assert answer.status == (201 if fits else 413)
        if not fits:
            assert answer.fields == ["payload"]
            assert not service.aws.items("records")

    @pytest.mark.requirement("errors")
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ("", "body"),
            ("[]", "body"),
            ("{", "body"),
            ("{}", "/payload"),
            ('{"payload": 1}', "/payload"),
            ('{"payload": null}', "/payload"),
            ('{"payload": ""}', "/payload"),
            ('{"payload": "\\ud800"}', "/payload"),
            ('{"payload": "x", "more": 1}', "/more"),
            ('{"payload": "x", "payload": "y"}', "body"),
        ],
    )
    def test_body_that_is_not_a_record_names_its_field(self, service: Service, body: str, field: str) -> None:
        answer = service.call(proxy_event("POST", "/data", body=body))
        assert (answer.status, answer.fields) == (400, [field])
        assert not service.aws.items("records")

    @pytest.mark.parametrize("record_id", ["x", NOBODY, "é" * 9])
    def test_an_unknown_record_id_is_not_found(self, service: Service, record_id: str) -> None:
        answer = read(service, record_id)
        assert (answer.status, answer.fields) == (404, ["id"])

    def test_the_id_is_required(self, service: Service) -> None:
        answer = service.call(proxy_event("GET", "/data"))
        assert (answer.status, answer.fields) == (400, ["id"])

    def test_a_record_is_only_visible_to_its_owner(self, service: Service) -> None:
        record = send(service, "x").json
        assert read(service, record["id"], key="another" * 5).status == 404

    @pytest.mark.requirement("ingest: records")
    def test_an_expired_record_is_not_found_before_dynamodb_deletes_it(self, service: Service) -> None:
        record = send(service, "x").json
        service.clock.pass_by(hours=23, minutes=59, seconds=59)
        assert read(service, record["id"]).status == 200
        service.clock.pass_by(seconds=1)
        assert read(service, record["id"]).status == 404

    @pytest.mark.parametrize("now", [b"y" * 5000, None])
    def test_a_record_with_a_lost_payload_has_failed(
        self, service: Service, counted: Counted, now: bytes | None
    ) -> None:
        # Given a record whose payload was changed or deleted
        record = send(service, "x" * 5000).json
        service.lose(record["id"])
        if now:
            service.payloads.put(record["id"], now)
        # When it is read
        answer = read(service, record["id"])
        # Then it has failed, which is counted as a lost payload and not as a fault of the version
        assert (answer.status, answer.json["status"]) == (200, "failed")
        assert (answer.json["reason"], answer.json["payload"]) == (PAYLOAD_LOST, None)
        written = counted("PayloadsLost")
        assert len(written) == 1
        assert not any("Faults" in line for line in written)
        # And a job has the same result
        job = service.run()
        assert [failure.reason for failure in job.failures] == [PAYLOAD_LOST]
        again = read(service, record["id"]).json
        assert (again["status"], again["reason"], again["payload"]) == ("failed", PAYLOAD_LOST, None)


class TestJobs:
    @pytest.mark.requirement("ingest: routes")
    def test_a_job_is_accepted_with_its_location(self, service: Service) -> None:
        answer = service.call(proxy_event("POST", "/process"))
        assert answer.status == 202
        assert answer.location == f"/process/{answer.json['id']}"
        assert answer.json["status"] == "queued"
        assert len(service.job_queue.sent) == 1

    @pytest.mark.requirement("ingest: routes")
    def test_its_owner_sees_its_progress(self, service: Service) -> None:
        send(service, "x")
        job = service.run()
        answer = service.call(proxy_event("GET", f"/process/{job.id}"))
        assert answer.status == 200
        assert (answer.json["status"], answer.json["total"], answer.json["completed"]) == ("completed", 1, 1)
        assert service.call(proxy_event("GET", f"/process/{job.id}", key="another" * 5)).status == 404

    @pytest.mark.parametrize("job_id", ["x", NOBODY, "..", "%00"])
    def test_an_unknown_job_id_is_not_found(self, service: Service, job_id: str) -> None:
        assert service.call(proxy_event("GET", f"/process/{job_id}")).status == 404


@pytest.mark.requirement("ingest: routes")
@pytest.mark.parametrize(("method", "path"), [("POST", "/data"), ("GET", "/data"), ("POST", "/process")])
@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_nothing_is_done(service: Service, method: str, path: str, key: str | None) -> None:
    answer = service.call(proxy_event(method, path, body={"payload": "x"}, key=key))
    assert (answer.status, answer.fields) == (403, ["X-Api-Key"])
    assert not service.aws.items("records")
    assert not service.aws.items("jobs")


def test_unavailable_dependency_reveals_nothing_internal(service: Service) -> None:
    service.fate.failure = ClientError({"Error": {"Code": "InternalServerError", "Message": "secret text"}}, "PutItem")
    answer = send(service, "x")
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert "secret" not in answer.text


def test_every_5xx_answer_is_a_fault_of_the_version(service: Service, counted: Counted) -> None:
    # Given an unavailable dependency, a slow one, and a bug
    away = ClientError({"Error": {"Code": "InternalServerError", "Message": ""}}, "PutItem")
    for failure, status in ((away, 503), (TimeoutError(), 503), (RuntimeError(), 500)):
        service.fate.failure = failure
        # When it is answered, then it is counted once
        assert send(service, "x").status == status
        (fault,) = counted("Faults")
        assert fault["function_version"] == "7"
