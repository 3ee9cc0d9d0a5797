"""Speech, the progress of a job that somebody waits for: a bar, or a function that is told.

In: a `Job`. Out: a tqdm bar where there is anybody to see it: in a notebook's cell, or on a terminal. The bar is
drawn on the thread that waits, never on the loop's: what is printed there would land in another cell.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chatkit.endpoint.reply import Progress
from chatkit.speech.jobs import Job

TITLES = {"reading": "reading", "sending": "sending", "listening": "listening"}


@contextmanager
def shown(job: Job, progress: bool | Callable[[Progress], object]) -> Iterator[None]:
    """Show the progress of the job while the body waits for it."""
    if callable(progress):
        told = progress
        end = job.listen(lambda item: told(item) if isinstance(item, Progress) else None)
        try:
            yield
        finally:
            end()
    else:
        yield
