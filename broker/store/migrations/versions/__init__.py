"""One module per step; the shapes that they end with are those of `broker.store.tables.lasting`."""
