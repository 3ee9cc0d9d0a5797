"""Reports: what is asked is answered with exact sums, said in words, safe in HTML and in a spreadsheet."""

import csv
import io
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_ledger_sums import PLAIN, START

import chatkit
from chatkit.exceptions import InputError, SetupError
from chatkit.ledger.meter import Meter
from chatkit.ledger.record import UsageRecord
from chatkit.ledger.store import UsageStore
from chatkit.reports.rows import instant

MEASURED = chatkit.Usage(100, 20, 30, 5, None, Decimal("0.0002"), "measured")
ESTIMATED = chatkit.Usage(50, 10, cost=Decimal("0.0001"), known="estimated")
UNKNOWN = chatkit.Usage()
HEARD = chatkit.Usage(audio_seconds=90.0, cost=Decimal("0.009"), known="measured")
HOSTILE = '<img src=x onerror=alert(1)> $\\frac{1 b$ & "quoted"\x1b[31m'


def row(number: int, **change: Any) -> UsageRecord:
    return replace(PLAIN, id=str(number), model="m", answered_model=None, user="", lesson="", exercise="", **change)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    for number, (name, usage) in enumerate(
        [("Lesson 1", MEASURED), ("Lesson 1", ESTIMATED), ("Lesson 2", UNKNOWN), ("Lesson 2", MEASURED)]
    ):
        store.add(row(number, session=name, usage=usage, at=START + timedelta(minutes=number)))
    yield store
    store.close()


def test_a_report_of_all_sessions_says_what_is_known_estimated_and_unknown(store: UsageStore) -> None:
    report = chatkit.usage(None, store=store)
    assert report.total == MEASURED + ESTIMATED + UNKNOWN + MEASURED
    assert repr(report) == (
        "Usage: 4 calls · ≈ 250 tokens in, 50 out and 1 unknown · cost ≈ 0.0005 USD and 1 unknown\n"
        "\n"
        "session   calls  tokens in    cached  tokens out  reasoning      cost USD\n"
        "Lesson 1      2      ≈ 150      ≈ 30        ≈ 30        ≈ 5      ≈ 0.0003\n"
        "Lesson 2      2    100 + ?    30 + ?      20 + ?      5 + ?    0.0002 + ?\n"
        "total         4  ≈ 250 + ?  ≈ 60 + ?    ≈ 50 + ?   ≈ 10 + ?  ≈ 0.0005 + ?\n"
        "\n"
        "≈ 1 call estimated: broken off, or no usage was sent.\n"
        "? 1 call of unknown usage, in no sum.\n"
        "? 1 call without a price, in no cost."
    )


def test_a_report_is_of_this_session_unless_something_is_chosen(store: UsageStore) -> None:
    with chatkit.session("Lesson 2"):
        here = chatkit.usage(store=store)
        assert (here.total.calls, here.title) == (2, "Usage of this session")
        assert chatkit.usage(model="m", store=store).total.calls == 4
        assert chatkit.usage("Lesson 1", store=store).total == MEASURED + ESTIMATED
    assert chatkit.usage(since=START + timedelta(minutes=3), store=store).total == MEASURED
    assert chatkit.usage(until=START + timedelta(minutes=1), store=store).total == MEASURED
    nobody = chatkit.usage("Lesson 9", store=store)
    assert (nobody.total.calls, repr(nobody)) == (0, "Usage of the session 'Lesson 9': no calls yet")


def test_a_report_is_of_the_moment_when_it_was_made(store: UsageStore) -> None:
    report = chatkit.usage("Lesson 1", store=store)
    before = report.total, repr(report)
    store.add(row(9, session="Lesson 1", usage=MEASURED))
    assert (report.total, repr(report)) == before
    assert len(report.records()) == 3


def test_summaries_by_everything(store: UsageStore) -> None:
    store.add(replace(row(7, session="Lesson 3", usage=HEARD), path="/v1/audio/transcriptions", answered_model="whisper-1",
                      user="Ada", lesson="3", exercise="b", at=START + timedelta(days=1)))  # fmt: skip
    report = chatkit.usage(None, store=store)
    assert report.summary("model")["whisper-1"] == HEARD
    assert report.summary("user")["Ada"] == report.summary("lesson")["3"] == report.summary("exercise")["b"] == HEARD
    assert report.summary("endpoint")["api.openai.com/v1/audio/transcriptions"] == HEARD
    assert [len(report.summary(by)) for by in ("session", "model", "user", "day", "hour")] == [3, 2, 2, 2, 2]
    assert repr(report.summary("user")).splitlines()[2:5] == [
        "user       calls  tokens in    cached  tokens out  reasoning  audio min      cost USD",
        "(no user)      4  ≈ 250 + ?  ≈ 60 + ?    ≈ 50 + ?   ≈ 10 + ?          –  ≈ 0.0005 + ?",
        "Ada            1          –         –           –          –        1.5         0.009",
    ]
    with pytest.raises(InputError, match=r"no summary by 'colour'.*session, model"):
        report.summary("colour")  # type: ignore[arg-type]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets its zone for the whole machine")
def test_days_and_hours_are_those_of_the_local_clock_when_it_goes_back(store: UsageStore, zone: Any) -> None:
    zone("Europe/Berlin")
    night = datetime(2026, 10, 24, 21, 50, tzinfo=UTC)
    for number in range(6):  # 23:50, 00:50, 01:50, 02:50, 02:50 again, 03:50
        store.add(row(100 + number, session="DST", usage=MEASURED, at=night + timedelta(hours=number)))
    report = chatkit.usage("DST", store=store)
    assert [(line.key[0], line.usage.calls) for line in report.summary("day")] == [("2026-10-24", 1), ("2026-10-25", 5)]
    assert [line.key[0] for line in report.summary("hour")] == [
        "2026-10-24 23:00", "2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00",
        "2026-10-25 03:00",
    ]  # fmt: skip


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets its zone for the whole machine")
@pytest.mark.parametrize("name", ["Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"])
def test_midnight_is_exact_in_zones_of_half_and_quarter_hours(store: UsageStore, zone: Any, name: str) -> None:
    zone(name)
    midnight = datetime(2026, 11, 24).astimezone()
    for number, at in enumerate((midnight - timedelta(microseconds=1), midnight)):
        store.add(row(100 + number, session="night", usage=MEASURED, at=at))
    days = chatkit.usage("night", store=store).summary("day")
    assert [(line.key[0], line.usage.calls) for line in days] == [("2026-11-23", 1), ("2026-11-24", 1)]
    assert chatkit.usage("night", since=date(2026, 11, 24), store=store).total.calls == 1


def test_a_clock_that_goes_back_changes_no_order_of_rows(store: UsageStore) -> None:
    for number in range(3):
        store.add(row(100 + number, session="back", usage=MEASURED, at=START - timedelta(hours=number)))
    report = chatkit.usage("back", store=store)
    assert [record.id for record in report.records()] == ["100", "101", "102"]
    assert [line.key[0][:13] for line in report.summary("hour")] == sorted(
        f"{(START - timedelta(hours=n)).astimezone():%Y-%m-%d %H}" for n in range(3)
    )


def test_times_are_said_in_many_ways() -> None:
    assert instant(datetime(2026, 11, 23, 9, 30, tzinfo=UTC), "since") == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    midnight = datetime.combine(date.today(), datetime.min.time()).astimezone()
    assert instant("today", "since") == instant(date.today(), "since") == midnight
    assert instant("Yesterday", "since") == instant(date.today() - timedelta(1), "since")
    assert instant("2026-11-23 09:30", "since") == datetime(2026, 11, 23, 9, 30).astimezone()
    ago = instant(timedelta(hours=2), "since")
    assert ago and timedelta(0) <= datetime.now(UTC) - ago - timedelta(hours=2) < timedelta(minutes=1)
    with pytest.raises(InputError, match="until is 'soon'; it must be a time. Try \"today\""):
        instant("soon", "until")


def test_hostile_names_are_escaped_in_html_and_tamed_in_text(store: UsageStore) -> None:
    store.add(row(9, session=HOSTILE, usage=MEASURED))
    store.add(replace(row(10, session="x", usage=MEASURED), model=HOSTILE, user=HOSTILE))
    report = chatkit.usage(None, store=store)
    for shown in (report, report.summary("model"), report.summary("user"), chatkit.sessions(store=store)):
        page = shown._repr_html_()
        assert "<img" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert "\x1b" not in page + repr(shown)


def test_a_table_shows_twenty_lines_and_says_how_many_more_there_are(store: UsageStore) -> None:
    for number in range(40):
        store.add(row(100 + number, session=f"s{number:02}", usage=MEASURED))
    shown = repr(chatkit.usage(None, store=store))
    assert "s17" in shown
    assert "s18" not in shown
    assert "… and 22 more, in the total and in to_csv()." in shown
    assert len(chatkit.usage(None, store=store).summary()) == 42


FORMULAS = ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1"]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_no_cell_of_a_csv_is_a_formula(store: UsageStore, text: str, tmp_path: Path) -> None:
    names = ("session", "model", "answered_model", "path", "host", "error_code", "user", "lesson", "exercise")
    store.add(replace(row(9, usage=MEASURED), **dict.fromkeys(names, text)))
    report = chatkit.usage(text, store=store)
    (line,) = csv.DictReader(io.StringIO(report.to_csv()))
    assert {name: line[name] for name in names} == dict.fromkeys(names, f"'{text}")
    (line,) = csv.DictReader(io.StringIO(report.summary("user").to_csv()))
    assert line["user"] == f"'{text}"


def test_a_csv_has_every_call_and_an_empty_cell_where_something_is_unknown(store: UsageStore, tmp_path: Path) -> None:
    report = chatkit.usage(None, store=store)
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [(line["prompt_tokens"], line["cost"], line["known"]) for line in lines] == [
        ("100", "0.0002", "measured"), ("50", "0.0001", "estimated"), ("", "", "unknown"), ("100", "0.0002", "measured"),
    ]  # fmt: skip
    assert lines[0]["at"] == "2026-11-23T09:00:00+00:00"
    assert report.to_csv(tmp_path / "calls.csv") is None
    assert (tmp_path / "calls.csv").read_bytes().decode("utf-8-sig") == report.to_csv()


def test_a_dataframe_keeps_what_is_unknown_apart_from_0(store: UsageStore) -> None:
    frame = chatkit.usage(None, store=store).to_dataframe()
    assert list(frame["prompt_tokens"].isna()) == [False, False, True, False]
    assert frame["prompt_tokens"].sum() == 250
    assert frame["cost"].sum() == pytest.approx(0.0005)
    assert str(frame["at"].dtype) == "datetime64[us, UTC]"
    summed = chatkit.usage(None, store=store).summary("session").to_dataframe()
    assert summed[["session", "calls", "unknown_calls"]].values.tolist() == [["Lesson 1", 2, 0], ["Lesson 2", 2, 1]]
    assert len(chatkit.usage("nobody", store=store).to_dataframe()) == 0


def test_without_pandas_the_error_says_what_to_install(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SetupError, match="pip install pandas"):
        chatkit.usage(None, store=store).to_dataframe()


def test_no_text_of_prompt_answer_or_file_name_is_in_the_store(tmp_path: Path) -> None:
    import httpx2
    import openai

    from chatkit.ledger.meter import MeteredTransport

    secret, file = "Quillfeather", tmp_path / "usage.sqlite"

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("transcriptions"):
            return httpx2.Response(200, json={"text": secret, "usage": {"type": "duration", "seconds": 3}})
        if b"refuse" in request.content:
            return httpx2.Response(
                400, json={"error": {"message": secret, "code": "bad", "type": "t", "param": secret}}
            )
        choice = {"index": 0, "message": {"role": "assistant", "content": secret}, "finish_reason": "stop"}
        return httpx2.Response(200, json={"id": "1", "object": "chat.completion", "model": "m", "created": 1,
                                          "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})  # fmt: skip

    store = UsageStore(file)
    transport = MeteredTransport(httpx2.MockTransport(answer), Meter(store))
    client = openai.OpenAI(api_key=secret, base_url="http://127.0.0.1/v1", max_retries=0,
                           http_client=openai.DefaultHttpx2Client(transport=transport))  # fmt: skip
    for words in (secret, f"refuse {secret}"):
        try:
            client.chat.completions.create(model="m", user=secret, messages=[{"role": "user", "content": words}])
        except openai.BadRequestError:
            assert words.startswith("refuse")
    client.audio.transcriptions.create(model="whisper-1", file=(f"{secret}.wav", b"RIFF"), prompt=secret)
    assert [record.outcome for record in store.records()] == ["complete", "error", "complete"]
    written = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert b"whisper-1" in written
    assert secret.encode() not in written
    store.close()


def test_the_user_is_the_one_that_the_environment_or_the_session_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from chatkit.ledger.record import booking, current_user

    monkeypatch.setitem(os.environ, "CHATKIT_USER", "ada")
    assert current_user() == "ada"
    with chatkit.session("Lesson 3", lesson="3", user="pseudonym 7"), chatkit.session("Lesson 3", exercise="b"):
        assert current_user() == "pseudonym 7"
        assert (booking().lesson, booking().exercise) == ("3", "b")
    assert (current_user(), booking().lesson) == ("ada", "")


def test_a_name_that_is_not_there_is_a_key_error():
    with pytest.raises(KeyError, match="no such"):
        chatkit.usage().summary(by="model")["no such"]
    with pytest.raises(KeyError, match="no such"):
        chatkit.sessions()["no such"]
