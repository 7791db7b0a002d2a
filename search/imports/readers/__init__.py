"""One reader for each kind of source, found by itself: see `search.imports.request.SourceReader`."""
