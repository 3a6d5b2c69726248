"""coewsgi: a strict and fast WSGI server, one coroutine for each connection."""
