from django.contrib import admin
from django.urls import path
from notes import views

urlpatterns = [
    path("", views.listing, name="listing"),
    path("add", views.add, name="add"),
    path("dashboard", views.dashboard, name="dashboard"),
    path("export", views.export, name="export"),
    path("admin/", admin.site.urls),
]
