"""Where samples come from: files, folders, hubs, objects in memory, all opened as tables."""
