"""python manage.py test: the views, by Django's client and by a server with real connections."""

import threading
import time
import urllib.request

from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import LiveServerTestCase, TestCase, TransactionTestCase

from notes.models import Note


class Pages(TestCase):
    def setUp(self):
        cache.clear()

    def test_note_is_left_and_listed(self):
        self.client.post("/add", {"author": "Ada", "text": "<b>first</b>"})
        page = self.client.get("/").content.decode()
        self.assertIn("&lt;b&gt;first&lt;/b&gt;", page)
        self.assertEqual(Note.objects.get().author, "Ada")

    def test_empty_note_is_not_kept(self):
        self.client.post("/add", {"author": " ", "text": ""})
        self.assertEqual(Note.objects.count(), 0)

    def test_session_in_the_cache_counts_visits(self):
        self.client.get("/")
        self.assertContains(self.client.get("/"), "visit number 2")

    def test_export_streams_every_note(self):
        Note.objects.bulk_create(Note(author='"q"', text=str(i)) for i in range(250))
        lines = b"".join(self.client.get("/export")).decode().splitlines()
        self.assertEqual(len(lines), 251)
        self.assertTrue(lines[1].endswith('"""q""","0"'))

    def test_admin_lists_notes(self):
        User.objects.create_superuser("root", password="secret")
        self.client.login(username="root", password="secret")
        Note.objects.create(author="Ada", text="seen by the admin")
        self.assertContains(self.client.get("/admin/notes/note/"), "seen by the admin")


class Dashboard(TransactionTestCase):
    def test_three_services_take_the_time_of_one(self):
        began = time.monotonic()
        response = self.client.get("/dashboard")
        self.assertContains(response, "weather: sunny")
        self.assertLess(time.monotonic() - began, 0.55)


class Connections(LiveServerTestCase):
    def test_many_requests_at_once_are_served(self):
        statuses = []

        def get():
            with urllib.request.urlopen(self.live_server_url + "/", timeout=30) as response:
                statuses.append(response.status)

        threads = [threading.Thread(target=get) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [200] * 30)
