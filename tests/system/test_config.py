import pytest
import yaml
from pydantic import ValidationError

from system.config import ConfigError, RunConfig, as_yaml, differences, recipe_digest, resolve
from system.presets import PRESETS

BASE = RunConfig()


def mistakes(*, text: str = "", settings: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve(BASE, text=text, settings=settings)
    return str(caught.value).splitlines()


def test_nothing_changed_is_the_preset() -> None:
    assert resolve(BASE) == BASE


def test_the_recipe_has_a_name_that_resources_and_more_rounds_leave_alone() -> None:
    config = resolve(RunConfig(), settings=["rounds.num_rounds=2"])
    same = resolve(config, settings=["rounds.num_rounds=9", "resources.train.num_workers=4"])
    assert recipe_digest(config) == recipe_digest(same)
    assert recipe_digest(config) != recipe_digest(resolve(config, settings=["loss.alpha=0.3"]))


def test_a_file_changes_what_it_names_and_nothing_else() -> None:
    augment = BASE.stage1.augment.changed(gain=0.3)
    base = BASE.changed(stage1=BASE.stage1.changed(num_epochs=7, augment=augment))  # no defaults
    found = resolve(base, text="stage1:\n  batch_size: 12\n  augment:\n    noise_sd: 0.5\nseed: 4\n")
    augment = augment.changed(noise_sd=0.5)
    assert found == base.changed(seed=4, stage1=base.stage1.changed(batch_size=12, augment=augment))


def test_settings_win_over_the_file_and_the_last_one_over_the_others() -> None:
    text = "stage1:\n  batch_size: 12\n  num_epochs: 3\n"
    found = resolve(BASE, text=text, settings=["stage1.batch_size=18", "stage1.batch_size=6"])
    assert (found.stage1.batch_size, found.stage1.num_epochs) == (6, 3)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("choose_candidate_threshold=false", False),
        ("strong_share=0.25", 0.25),
        ("method=btv", "btv"),
        ("seed=12", 12),
        (" seed =7", 7),
    ],
)
def test_a_setting_is_read_as_yaml(setting: str, value: object) -> None:
    assert getattr(resolve(BASE, settings=[setting]), setting.partition("=")[0].strip()) == value


def test_a_value_may_hold_an_equals_sign() -> None:
    assert resolve(BASE, settings=["net.weights=folder=1/w.pth"]).net.weights == "folder=1/w.pth"


def test_a_section_left_empty_in_the_file_can_be_set_from_the_command_line() -> None:
    assert resolve(BASE, text="stage1:\n", settings=["stage1.batch_size=6"]).stage1.batch_size == 6


def test_all_mistakes_are_reported_at_once() -> None:
    text = "stage1:\n  batch_sise: 12\n  learning_rate: -1\nrounds:\n  p0:\n    start: 1.2\n"
    found = mistakes(text=text, settings=("loss.gama=2", "strong_share=2", "stage1.num_epochs"))
    assert len(found) == 6
    assert "--set 'stage1.num_epochs': expected key=value, e.g. --set stage1.batch_size=12" in found
    assert "stage1.batch_sise: no such setting; did you mean stage1.batch_size?" in found
    assert "loss.gama: no such setting; did you mean loss.gamma?" in found
    assert "stage1.learning_rate: expected more than 0, found -1" in found
    assert "rounds.p0.start: expected less than 1, found 1.2" in found
    assert "strong_share: expected at most 1, found 2" in found


def test_a_key_like_no_other_is_refused_with_the_known_ones() -> None:
    assert mistakes(settings=("rounds.p0.qqq=1",)) == [
        "rounds.p0.qqq: no such setting; known here: start, step, every_epochs, minimum"
    ]


def test_the_nearest_key_is_looked_for_at_the_top_as_well() -> None:
    assert mistakes(settings=("stage=1",)) == ["stage: no such setting; did you mean stage1?"]


def test_a_value_of_the_wrong_type_is_reported_with_what_was_found() -> None:
    (found,) = mistakes(settings=("stage1.batch_size=many",))
    assert found.startswith("stage1.batch_size: ")
    assert found.endswith("found 'many'")


def test_a_setting_below_a_plain_value_is_refused() -> None:
    found = mistakes(text="stage1: 5\n", settings=("stage1.batch_size=6",))
    assert (
        "--set 'stage1.batch_size=6': stage1 has been set to 5, so nothing lies below it; remove one of the two"
        in found
    )


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    (found,) = mistakes(settings=("method=btw",))
    assert "method: " in found
    assert "choose one of btv" in found
    assert found.endswith("found 'btw'")


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['true']", "stage1: !!python/object:system.run.stage.Stage {}"]
)
def test_a_python_object_in_the_file_is_refused(text: str) -> None:
    assert "the config file is no plain YAML" in mistakes(text=text)[0]


def test_a_python_object_in_a_setting_is_never_built() -> None:
    (found,) = mistakes(settings=("seed=!!python/object/apply:os.getpid []",))
    assert found.startswith("seed: ")


@pytest.mark.parametrize(("text", "kind"), [("- seed\n- 1\n", "list"), ("seed", "str"), ("12", "int")])
def test_a_file_that_is_no_tree_of_settings_is_refused(text: str, kind: str) -> None:
    assert mistakes(text=text) == [f"the config file holds a {kind}, expected keys such as `stage1:` at its top"]


def test_broken_yaml_is_refused_with_its_place() -> None:
    assert "line 2" in " ".join(mistakes(text="stage1:\n  batch_size: [1\n"))


@pytest.mark.parametrize("name", PRESETS)
def test_the_text_of_a_preset_gives_it_back_whatever_it_is_laid_over(name: str) -> None:
    preset = PRESETS[name]()
    assert resolve(preset, text=as_yaml(preset)) == preset
    assert resolve(type(preset)(), text=as_yaml(preset)) == preset
    assert resolve(BASE, text=as_yaml(preset.of_run())) == preset.of_run()


def test_the_text_holds_every_setting_in_plain_words() -> None:
    assert yaml.safe_load(as_yaml(BASE)) == BASE.model_dump(mode="json")
    assert "batch_size: 24" in as_yaml(BASE)


def test_a_configuration_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        BASE.seed = 3


def test_a_changed_setting_is_checked_like_a_new_one() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        BASE.changed(bogus=3)
    with pytest.raises(ValidationError, match="strong_share"):
        BASE.changed(strong_share=-5)
    assert BASE.changed(seed=3).seed == 3
    assert BASE.seed == 0


def test_the_keys_of_a_recipe_that_differ_are_named_with_both_values() -> None:
    asked = resolve(BASE, settings=["loss.alpha=0.5", "rounds.p0.start=0.9"])
    assert differences(BASE, asked) == ["loss.alpha: 0.25, now 0.5", "rounds.p0.start: 0.95, now 0.9"]


def test_resources_and_the_settings_of_the_archive_belong_to_no_recipe() -> None:
    asked = resolve(
        BASE, settings=["resources.train.num_workers=8", "resources.infer.shard_bytes=1", "ingest.force=true"]
    )
    assert differences(BASE, asked) == []


def test_what_a_demo_adds_belongs_to_no_run() -> None:
    demo = PRESETS["demo"]()
    assert differences(demo.of_run(), resolve(demo, settings=["demo.seed=21"])) == []
    assert "demo" not in as_yaml(demo.of_run())


@pytest.mark.parametrize("value", [0, 1, 1.5, -0.1])
def test_a_mask_threshold_that_is_no_probability_is_refused(value: float) -> None:
    (found, *_) = mistakes(settings=(f"infer.refine.mask_threshold={value}",))
    assert found.startswith("infer.refine.mask_threshold")


@pytest.mark.parametrize(
    "text", ["stage1: {num_epochs: 9}\nstage1: {batch_size: 5}\n", "stage1:\n  batch_size: 4\n  batch_size: 5\n"]
)
def test_a_key_that_stands_twice_is_refused_by_name(text: str) -> None:
    found = " ".join(mistakes(text=text))
    assert "stands there twice: keep one" in found
    assert ("'stage1'" if text.count("stage1") == 2 else "'batch_size'") in found


@pytest.mark.parametrize("value", ["1e400", ".inf", "-.inf", ".nan"])
def test_a_number_that_is_not_finite_is_refused(value: str) -> None:
    found = mistakes(text=f"stage1: {{learning_rate: {value}}}", settings=(f"loss.alpha={value}",))
    assert any("stage1.learning_rate" in line for line in found)
    assert any("loss.alpha" in line for line in found)


@pytest.mark.parametrize("value", ["yes", "no", "true", "on"])
@pytest.mark.parametrize("key", ["stage1.batch_size", "loss.alpha", "net.backbone", "rounds.fn_in_batch"])
def test_a_yes_is_neither_a_number_nor_a_word(key: str, value: str) -> None:
    (found,) = mistakes(settings=(f"{key}={value}",))
    assert key in found
    assert "where a number or a word is wanted" in found
