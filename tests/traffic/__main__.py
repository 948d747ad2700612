"""`python -m traffic SCHEDULE.json`: ask at a steady rate until told to stop, and answer for what was counted."""

import asyncio
import json
import random
import signal
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from traffic import control, rows
from traffic.client import Client, Schedule
from traffic.rows import FeatureShift


async def run(plan: dict[str, Any], folder: Path) -> None:
    """Ask as `plan` says; the counters stay to be read after the last question, until the process is stopped."""
    target = plan["target"]
    asked = rows.read((folder / "asked.csv").read_text(), target)
    measured_file = folder / "measured.csv"
    measured = rows.read(measured_file.read_text(), target) if measured_file.exists() else []
    feature_shift = FeatureShift(scale=plan.get("scale", {}), defective=tuple(plan.get("defective", ())))
    client = Client(Schedule(**plan["schedule"]), asked, feature_shift, random.Random(plan.get("seed", 0)))
    runner = web.AppRunner(control.application(client, measured), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", control.PORT).start()
    stop = asyncio.Event()
    for signalled in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signalled, stop.set)
    asking = asyncio.create_task(client.run())
    asking.add_done_callback(lambda task: stop.set() if not task.cancelled() and task.exception() else None)
    await stop.wait()
    await runner.cleanup()
    if asking.done():
        asking.result()
    asking.cancel()
    print(json.dumps(client.ledger.report()))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    asyncio.run(run(json.loads(path.read_text()), path.parent))
