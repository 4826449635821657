"""Which picture of the queue a tool's file name means."""

import pytest

from system.review.pictures import find_picture

QUEUE = ("pictures/0001.png", "pictures/0002.png", "pictures/0010.png")


@pytest.mark.parametrize(
    "name",
    [
        "pictures/0001.png",
        "0001.png",
        "0001.PNG",
        "images/0001.png",
        "review/pictures/0001.png",
        "images\\1a2b3c4d-0001.png",
        "..\\..\\media\\upload\\4\\cb0618f6-0001.png",
        "/data/upload/4/cb0618f6-0001.png",
        "/data/local-files/?d=my%20review%2Fpictures%2F0001.png",
        "https://host/bucket/pictures/0001.png?X-Amz-Signature=1",
        "pictures%2F0001.png",
    ],
)
def test_a_name_is_found_whatever_a_tool_does_to_its_folder(name: str) -> None:
    assert find_picture(name, QUEUE) == "pictures/0001.png"


@pytest.mark.parametrize(
    "name", ["", "0003.png", "10001.png", "xyz-0001.png", "1a2b3c4-0001.png", "pictures", "0001.jpg"]
)
def test_another_name_is_none_of_them(name: str) -> None:
    assert find_picture(name, QUEUE) == ""


def test_a_name_that_may_be_several_is_none_unless_its_folder_decides() -> None:
    queue = ("a/0001.png", "b/0001.png", "deadbeef-0002.png", "0002.png")
    assert find_picture("0001.png", queue) == ""
    assert find_picture("x/b/0001.png", queue) == "b/0001.png"
    assert find_picture("deadbeef-0002.png", queue) == "deadbeef-0002.png"
