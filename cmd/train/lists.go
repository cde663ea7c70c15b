package main

func makeLists(cache string) error { return nil }
