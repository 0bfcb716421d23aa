"""Django's ORM: a connection a thread, as a threaded WSGI server has it.

    django_threads.py DIRECTORY WORKER LANES
"""
import io
import sys

import django
import lanes
from django.conf import settings

settings.configure(USE_TZ=True, TIME_ZONE="Europe/Berlin", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", DATABASES={
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": "prod", "USER": "django", "HOST": sys.argv[1]}})
django.setup()

from django.db import connection, models, transaction       # noqa: E402  (after the settings)
from django.db.models import F, Value                       # noqa: E402
from django.db.models.functions import Concat               # noqa: E402
from django.db.utils import DataError                       # noqa: E402


class Entry(models.Model):
    id = models.BigIntegerField(primary_key=True)
    lane = models.IntegerField()
    n = models.IntegerField()
    body = models.TextField()

    class Meta:
        app_label, db_table, managed = "stories", "entries", False


class Account(models.Model):
    id = models.IntegerField(primary_key=True)
    balance = models.IntegerField()
    moves = models.IntegerField()

    class Meta:
        app_label, db_table, managed = "stories", "accounts", False


def entry(lane, n):
    return Entry(**dict(zip(("id", "lane", "n", "body"), lane.entry(n))))


def rows(lane):
    mine = Entry.objects.filter(lane=lane.number)
    for n in lanes.ROWS:
        entry(lane, n).save(force_insert=True)
    mine.filter(n__in=range(2, 21, 2)).update(body=Concat("body", Value(" changed")))
    lanes.same(mine.filter(n__gt=lanes.KEPT).delete()[0], len(lanes.ROWS) - lanes.KEPT)
    Entry.objects.bulk_create([entry(lane, n) for n in lanes.MANY], batch_size=20)
    lanes.same(mine.count(), lanes.KEPT + len(lanes.MANY))


def undone(lane):
    try:
        with transaction.atomic():
            Entry.objects.filter(lane=lane.number).delete()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
    except DataError:
        pass
    with transaction.atomic():
        entry(lane, lanes.SAVED[0]).save(force_insert=True)
        inner = transaction.savepoint()
        entry(lane, lanes.LOST).save(force_insert=True)
        transaction.savepoint_rollback(inner)
        entry(lane, lanes.SAVED[1]).save(force_insert=True)


def copies(lane):
    text = "".join("\t".join(map(str, lane.entry(n))) + "\n" for n in lanes.COPIED)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.copy_expert("COPY entries FROM STDIN", io.StringIO(text))
    with connection.cursor() as cursor:
        cursor.execute(lanes.WIDE)
        lanes.same(lanes.digest(text for (text,) in cursor.fetchall()), lanes.WIDE_DIGEST)
        cursor.execute("SHOW timezone")             # Django SETs it once, on the connection it believes to have
        lanes.same(cursor.fetchone(), ("UTC",))


def portions(lane):
    """A cursor on the server: inside a transaction, and outside of one, where Django declares it WITH HOLD."""
    wanted = lanes.KEPT + len(lanes.SAVED) + len(lanes.MANY) + len(lanes.COPIED)
    mine = Entry.objects.filter(lane=lane.number)
    with transaction.atomic():
        lanes.same(sum(1 for _ in mine.iterator(chunk_size=50)), wanted)
    lanes.same(sum(1 for _ in mine.iterator(chunk_size=50)), wanted)


def transfers(lane):
    for source, target in lane.transfers():
        with transaction.atomic():
            lanes.same(len(Account.objects.select_for_update().filter(id__in=(source, target)).order_by("id")), 2)
            Account.objects.filter(id=source).update(balance=F("balance") - 1, moves=F("moves") + 1)
            Account.objects.filter(id=target).update(balance=F("balance") + 1)


def work(lane):
    try:
        rows(lane)
        undone(lane)
        copies(lane)
        portions(lane)
        transfers(lane)
    finally:
        connection.close()


if __name__ == "__main__":
    lanes.in_threads(work, *sys.argv[1:])
