# Imported for its effect: nothing in it is public.
