"""Django on coewsgi: ``python -m coewsgi.django mysite.settings [options]``.

coev.monkey is imported before Django is. Options are those of ``coewsgi``; static files of
installed applications are served with ``DEBUG = True``, as ``runserver`` does. With
``"coewsgi.django"`` in INSTALLED_APPS there is ``manage.py runcoewsgi`` as well, which
starts the same in a process of its own.
"""
