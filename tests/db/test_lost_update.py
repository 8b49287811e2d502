"""Many writers on one feature: every change that was acknowledged is in it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import httpx
import psycopg

from api_help import eventually, listening, serving
from riskmap.app import create_app
from riskmap.db.cluster import Cluster

WRITERS = 64
PSQL_EDITS = 25
PATH = "/collections/shelters/items/1"


def _read(client: httpx.Client) -> tuple[str, dict[str, object]]:
    answer = client.get(PATH)
    answer.raise_for_status()
    return answer.headers["etag"], answer.json()


def _write(client: httpx.Client, writer: int) -> int:
    """Read, add one, write: as a whole or as a patch."""
    tag, feature = _read(client)
    properties = feature["properties"]
    assert isinstance(properties, dict)
    occupancy = {"current_occupancy": properties["current_occupancy"] + 1}
    if writer % 2:
        body: object = {"properties": occupancy}
        answer = client.patch(
            PATH,
            json=body,
            headers={"If-Match": tag, "Content-Type": "application/merge-patch+json"},
        )
    else:
        body = {**feature, "properties": properties | occupancy}
        answer = client.put(
            PATH, json=body, headers={"If-Match": tag, "Content-Type": "application/geo+json"}
        )
    return answer.status_code


def test_sixty_four_writers_and_two_psql_editors_lose_no_update(
    cluster: Cluster, migrated: str
) -> None:
    with serving(cluster, migrated) as served, listening(create_app(served.settings)) as port:
        served.put("shelters", {"code": "c", "current_occupancy": 0, "geom": "POINT(120.5 36.5)"})
        address = served.database.owner_url.set(drivername="postgresql")
        login = address.render_as_string(hide_password=False)
        statuses: Counter[int] = Counter()
        finished: list[str] = []
        guard, begin = threading.Lock(), threading.Barrier(WRITERS + 2)

        def writer(number: int) -> None:
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(
                base_url=url, headers=served.headers("editor"), timeout=120
            ) as client:
                begin.wait()
                status = 0
                while status // 100 != 2:
                    status = _write(client, number)
                    with guard:
                        statuses[status] += 1
                    # Those who lost come again at different moments: at 50 ms for a change, 64
                    # of them need three seconds.
                    time.sleep(random.uniform(0, 3) if status != 204 else 0)
            with guard:
                finished.append("writer")

        def editor() -> None:
            with psycopg.connect(login, autocommit=True) as session:
                begin.wait()
                for _ in range(PSQL_EDITS):
                    session.execute(
                        "UPDATE shelters SET current_occupancy = current_occupancy + 1 WHERE id = 1"
                    )
                    time.sleep(0.01)
            with guard:
                finished.append("psql")

        threads = [threading.Thread(target=writer, args=(n,), daemon=True) for n in range(WRITERS)]
        threads += [threading.Thread(target=editor, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(finished) == len(threads), tries=30_000)

        assert set(statuses) <= {204, 412, 503}, statuses
        assert statuses[412] > 0, "nobody came in anybody's way: nothing is proved"
        written = statuses[204] + 2 * PSQL_EDITS
        assert statuses[204] == WRITERS
        with psycopg.connect(login) as session:
            found = session.execute(
                "SELECT current_occupancy, version,"
                " (SELECT count(*) FROM history WHERE layer = 'shelters' AND feature_id = 1),"
                " (SELECT count(*) FROM feed WHERE layer = 'shelters' AND op = 'UPDATE')"
                " FROM shelters WHERE id = 1"
            ).fetchone()
        assert found == (written, written + 1, written, written)
