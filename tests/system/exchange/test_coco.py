"""Candidates as COCO JSON."""

from system.exchange import ImageCandidates, SourceCandidate, as_coco


def test_candidates_become_annotations_of_their_image() -> None:
    one = SourceCandidate((2.0, 1.0, 5.125, 3.0), (3.0, 2.0), area_px=5.5, score=0.75)
    images = [ImageCandidates(1, "a/left.dcm", 40, 30, (one,)), ImageCandidates(2, "b.png", 20, 10, ())]
    found = as_coco(images, description="mammoloop")
    assert found["images"][0] == {"id": 1, "file_name": "a/left.dcm", "width": 30, "height": 40}
    assert len(found["images"]) == 2
    assert found["annotations"] == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "segmentation": [],
            "bbox": [2.0, 1.0, 3.12, 2.0],
            "area": 5.5,
            "score": 0.75,
            "iscrowd": 0,
        }
    ]
    assert found["categories"] == [{"id": 1, "name": "mass"}]
    assert found["info"] == {"description": "mammoloop"}
