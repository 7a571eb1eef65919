//! Whether what is written and drawn can be told from what it is on, by the
//! measure of WCAG 2.2 (success criteria 1.4.3 and 1.4.11), read from the
//! style sheets themselves.

use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("page/style.css");

/// What text needs, and what a line or a bar does.
const TEXT: f64 = 4.5;
const GRAPHICS: f64 = 3.0;

/// What stands on what.
const PAIRS: &[(&str, &str, f64)] = &[
    ("ink", "paper", TEXT),
    ("ink", "card", TEXT),
    ("ink", "well-paper", TEXT),
    ("ink", "paused-paper", TEXT),
    ("ink", "trouble-paper", TEXT),
    ("soft", "paper", TEXT),
    ("soft", "card", TEXT),
    ("soft", "trouble-paper", TEXT),
    ("link", "card", TEXT),
    ("link", "paper", TEXT),
    ("well", "well-paper", TEXT),
    ("paused", "paused-paper", TEXT),
    ("trouble", "trouble-paper", TEXT),
    ("overdue", "overdue-paper", TEXT),
    ("now", "paper", TEXT),
    ("bar", "ground", GRAPHICS),
    ("bar", "card", GRAPHICS),
    ("bar", "paper", GRAPHICS),
    ("now", "ground", GRAPHICS),
    ("now", "card", GRAPHICS),
];

/// The same in the picture, by what its rules are about.
const PICTURE_PAIRS: &[(&str, &str, f64)] = &[
    ("text", "paper", TEXT),
    ("soft", "paper", TEXT),
    ("nowword", "paper", TEXT),
    ("bar", "ground", GRAPHICS),
    ("hatch", "ground", GRAPHICS),
    ("hatch", "paper", GRAPHICS),
    ("now", "paper", GRAPHICS),
    ("now", "ground", GRAPHICS),
];

type Colours = BTreeMap<String, [u8; 3]>;

/// `#rgb` or `#rrggbb`.
fn colour(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#')?;
    let digits =
        if digits.len() == 3 { digits.chars().flat_map(|it| [it, it]).collect() } else { digits.to_owned() };
    let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

/// The variables of a block: `--name: #rrggbb;`.
fn variables(block: &str) -> Colours {
    let declarations =
        block.split(['{', '}', ';']).filter_map(|it| it.trim().strip_prefix("--")?.split_once(':'));
    declarations.filter_map(|(name, value)| Some((name.to_owned(), colour(value.trim())?))).collect()
}

/// The colour that each rule gives: `.name,.other{fill:#rrggbb}`.
fn rules(text: &str) -> Colours {
    let rules = text.split('}').filter_map(|it| it.split_once('{'));
    let coloured = rules.filter_map(|(names, rule)| {
        let value = rule.split(';').find_map(|it| colour(it.split_once(':')?.1))?;
        Some((names, value))
    });
    coloured.flat_map(|(names, value)| names.split(',').map(move |it| (it.replace('.', ""), value))).collect()
}

/// Relative luminance.
fn luminance(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|it| {
        let part = f64::from(it) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn ratio(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[track_caller]
fn check(what: &str, colours: &Colours, pairs: &[(&str, &str, f64)]) {
    for (on, ground, least) in pairs {
        let ratio = ratio(colours[*on], colours[*ground]);
        assert!(*least <= ratio, "{what}: `{on}` on `{ground}` is {ratio:.2} to 1, and has to be {least}");
    }
}

/// The style sheet's blocks of variables: in the light, in the dark, on paper.
fn themes() -> [Colours; 3] {
    let (light, rest) = PAGE.split_once("@media screen and (prefers-color-scheme: dark)").unwrap();
    let (dark, rest) = rest.split_once("\n}\n").unwrap();
    let (_, paper) = rest.split_once("@media print").unwrap();
    let light = variables(light);
    let over = |block| light.clone().into_iter().chain(variables(block)).collect();
    [light.clone(), over(dark), over(paper)]
}

#[test]
fn everything_on_the_page_stands_out_in_the_light_in_the_dark_and_on_paper() {
    let [light, dark, paper] = themes();
    let paired = PAIRS.iter().flat_map(|(on, ground, _)| [*on, *ground]);
    // What frames cards and parts rows is ornament.
    let all: BTreeSet<_> = paired.chain(["line"]).collect();
    assert!(light.keys().map(String::as_str).eq(all), "a colour that nobody compares: {light:?}");
    assert_ne!(light["card"], dark["card"]);
    assert_ne!(light["overdue"], paper["overdue"]);
    for (what, colours) in [("light", &light), ("dark", &dark), ("paper", &paper)] {
        check(what, colours, PAIRS);
    }
    // A printer leaves out what is behind words.
    for (ink, _, least) in PAIRS.iter().filter(|(_, ground, _)| *ground != "ground") {
        let ratio = ratio(paper[*ink], [255; 3]);
        assert!(*least <= ratio, "`{ink}` on white paper is {ratio:.2} to 1");
    }
}

#[test]
fn everything_in_the_picture_stands_out_in_the_light_and_in_the_dark() {
    let (light, dark) = super::svg::STYLE.split_once("@media(prefers-color-scheme:dark){").unwrap();
    let light = rules(light);
    let dark: Colours = light.clone().into_iter().chain(rules(dark)).collect();
    assert_ne!(light["paper"], dark["paper"]);
    check("light", &light, PICTURE_PAIRS);
    check("dark", &dark, PICTURE_PAIRS);
}

#[test]
fn contrast_is_measured_as_wcag_does() {
    for (one, other, expected) in [
        ("#000", "#fff", 21.0),
        ("#777777", "#ffffff", 4.478),
        ("#0000ff", "#ffffff", 8.592),
        ("#123456", "#123456", 1.0),
    ] {
        let measured = ratio(colour(one).unwrap(), colour(other).unwrap());
        assert!((measured - expected).abs() < 0.001, "{one} on {other}: {measured}");
    }
}
