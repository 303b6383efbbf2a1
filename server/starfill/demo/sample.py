"""The file that `starfill demo` opens without a FILE: it has places where the bundled model's
suggestions make sense.
"""

CURSOR = "‸"

SAMPLE = '''\
"""Books on a shelf.

Tab accepts what is suggested at the cursor. Then go to the line of
__iter__, and press Enter at its end.
"""

import csv
import json


class Book:
    def __init__(self, title, author):
        ‸

    def __repr__(self):
        return f"Book({self.title!r}, {self.author!r})"

    def to_dict(self):
        return {"title": self.title, "author": self.author}


class Library:
    def __init__(self, path):
        self.path = path
        self.books = []

    def __len__(self):
        return len(self.books)

    def __iter__(self):

    def __contains__(self, book):
        return book in self.books

    def add(self, book):
        self.books.append(book)

    def remove(self, book):
        self.books.remove(book)

    def find(self, title):
        for book in self.books:
            if book.title == title:
                return book
        return None

    def load(self):
        with open(self.path, encoding="utf-8") as file:
            for row in csv.reader(file):
                self.add(Book(row[0], row[1]))

    def save(self):
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump([book.to_dict() for book in self.books], file)


def main():
    library = Library("books.csv")
    library.load()
    for book in library:
        print(book)


if __name__ == "__main__":
    main()
'''
