"""Two thousand memories of fixed dates, all with vectors: ranking, paging and ties at a size where they matter."""

from __future__ import annotations

from parity_tests.harness.homes.rows import Rows
from parity_tests.harness.seeded_id import uid

_COUNT = 2000
_WORDS = (
    "atlas",
    "bridge",
    "comet",
    "delta",
    "ember",
    "falcon",
    "garnet",
    "harbor",
    "island",
    "jungle",
    "kelp",
    "lantern",
)


def fill_busy(rows: Rows) -> None:
    for number in range(_COUNT):
        words = (_WORDS[number % 12], _WORDS[(number * 7 // 12) % 12], _WORDS[(number * 5 // 144) % 12])
        content = f"{words[0]} and {words[1]} beside {words[2]} note {number}" + " extra" * (number % 4)
        memory_id = rows.memory(
            f"busy-{number}",
            content,
            type=("fact", "decision", "rule", "preference")[number % 4],
            importance=(number % 11) / 10,
            pinned=int(number % 97 == 0),
            is_deleted=int(number % 41 == 7),
            deleted_at="2025-05-01T00:00:00.000Z" if number % 41 == 7 else None,
            tags=(None, "t1", "t1,t2")[number % 3],
            who=("ann", "bob")[number % 2],
            project=(None, "/p")[number % 2],
            access_count=number % 7,
            # Ten rows share each second, so that ties have to be broken.
            created_at=f"2025-04-{number // 80 % 28 + 1:02d}T10:{number // 10 % 60:02d}:00.000Z",
        )
        rows.embedding(memory_id, content)
    entities = [rows.entity(word.title(), mentions=10) for word in _WORDS]
    for number in range(0, _COUNT, 5):
        rows.mention(uid("memory", f"busy-{number}"), entities[number % 12])
