"""Views that wait: plain functions and plain threads."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.cache import cache
from django.db import close_old_connections, connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render

from notes.models import Note


def listing(request: HttpRequest) -> HttpResponse:
    notes = cache.get_or_set("notes", lambda: list(Note.objects.all()[:20]), 30)
    visits = request.session["visits"] = request.session.get("visits", 0) + 1
    return render(request, "notes/listing.html", {"notes": notes, "visits": visits})


def add(request: HttpRequest) -> HttpResponse:
    author = request.POST.get("author", "").strip()[:50]
    text = request.POST.get("text", "").strip()[:500]
    if request.method == "POST" and author and text:
        Note.objects.create(author=author, text=text)
        cache.delete("notes")
    return redirect("listing")


def _database() -> Any:
    try:
        with connection.cursor() as cursor:
            cursor.execute("select count(*), pg_sleep(0.2) from notes_note")
            return cursor.fetchone()[0]
    finally:
        # This thread's connection; the request's own is Django's to close.
        close_old_connections()
        connection.close()


def _cache() -> Any:
    time.sleep(0.2)  # a slow neighbour
    cache.add("dashboard-views", 0, None)
    return cache.incr("dashboard-views")


def _elsewhere() -> Any:
    time.sleep(0.2)  # a service somewhere else
    return "sunny"


def dashboard(request: HttpRequest) -> HttpResponse:
    """Waits for three services at once: threads, which are coroutines here."""
    began = time.monotonic()
    services: dict[str, Callable[[], Any]] = {
        "notes": _database,
        "views": _cache,
        "weather": _elsewhere,
    }
    with ThreadPoolExecutor(len(services)) as pool:
        answers = dict(zip(services, pool.map(lambda service: service(), services.values())))
    seconds = time.monotonic() - began
    return render(request, "notes/dashboard.html", {"answers": answers, "seconds": seconds})


def export(request: HttpRequest) -> StreamingHttpResponse:
    """All notes as CSV, while they are read from the database."""

    def lines() -> Iterator[str]:
        yield "id,author,text\n"
        for note in Note.objects.order_by("id").iterator(chunk_size=100):
            text = note.text.replace('"', '""')
            author = note.author.replace('"', '""')
            yield f'{note.id},"{author}","{text}"\n'

    return StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
