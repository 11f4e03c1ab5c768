//! Colours and style sheet. Every colour that carries text has a contrast of at least 4.5 : 1 to
//! its paper, every colour of a picture at least 3 : 1 (WCAG 2.2 AA).

/// Name, on white paper, on dark paper.
const COLOURS: [(&str, &str, &str); 12] = [
    ("paper", "#ffffff", "#14171b"),
    ("sheet", "#f4f6f8", "#1d2127"),
    ("ink", "#1a1c20", "#e7e9ec"),
    ("soft", "#565e6a", "#a7afba"),
    ("line", "#d5d9e0", "#3a4048"),
    ("loaded", "#1f7a4d", "#4fbf85"),
    ("updated", "#2563a8", "#6aa9e9"),
    ("unchanged", "#66707d", "#9aa3ae"),
    ("rejected", "#b3261e", "#f28b82"),
    ("filtered", "#7a4fa3", "#c29bea"),
    ("duplicate", "#8f5400", "#e6a23c"),
    ("read", "#3f4b5b", "#b9c4d2"),
];

const RULES: &str = "\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\
main{max-width:64rem;margin:0 auto;padding:1.5rem 1rem 4rem}\
h1{font-size:1.5rem;margin:.5rem 0;overflow-wrap:anywhere}\
h2{font-size:1.15rem;margin:2.5rem 0 .75rem;padding-top:1rem;border-top:1px solid var(--line)}\
h3{font-size:1rem;margin:1.75rem 0 .5rem}\
p{margin:.5rem 0;overflow-wrap:anywhere}\
code{font:.86em/1.45 ui-monospace,'DejaVu Sans Mono',monospace;background:var(--sheet);border-radius:3px;padding:.05em .3em;overflow-wrap:anywhere}\
.soft{color:var(--soft)}.ok{color:var(--loaded)}.warn{color:var(--duplicate)}.bad{color:var(--rejected)}\
.verdict{font-size:1.15rem;font-weight:600}\
.balance{font-size:1.05rem}.balance span{white-space:nowrap;margin-left:.4em}\
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1.25rem 0}\
.tiles>div{background:var(--sheet);border-radius:6px;padding:.7rem .85rem}\
.tiles dt{color:var(--soft);font-size:.85rem}.tiles dd{margin:0}\
.tiles b{display:block;font-size:1.2rem;font-variant-numeric:tabular-nums;line-height:1.3}\
.tiles span{color:var(--soft);font-size:.85rem}\
.next li{margin:.55rem 0}.next br+code{display:inline-block;margin-top:.15rem;padding:.25em .6em;font-size:.92em}\
.scroll{overflow-x:auto;margin:1rem 0}.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--updated);outline-offset:2px}\
table{border-collapse:collapse;width:100%;font-size:.9rem}\
caption{text-align:left;color:var(--soft);padding:.2rem 0;font-size:.9rem}\
th,td{text-align:left;vertical-align:top;padding:.3rem 1.1rem .3rem 0;border-bottom:1px solid var(--line)}\
th{font-weight:600;white-space:nowrap}th.n,td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
td code{display:inline-block;max-width:16rem;overflow-wrap:break-word}td.p code{display:inline;overflow-wrap:anywhere}\
td.p{min-width:15rem;overflow-wrap:anywhere}td.p div{margin-bottom:.2rem}td span{white-space:nowrap}td.p span{white-space:normal}\
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:0 2.5rem}\
.facts>div{display:grid;grid-template-columns:9rem 1fr;gap:.75rem;padding:.2rem 0}.facts dt{color:var(--soft)}.facts dd{margin:0;overflow-wrap:anywhere}\
details{margin:.5rem 0}summary{cursor:pointer;color:var(--soft)}\
figure{margin:1rem 0;overflow-x:auto}figure svg{display:block;width:100%;min-width:40rem;height:auto}figcaption{color:var(--soft);font-size:.9rem;margin-top:.3rem}\
svg text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}\
svg .line{stroke:var(--line);fill:none}svg .e{text-anchor:end}svg .m{text-anchor:middle}\
svg .ribbon{fill-opacity:.32;stroke-opacity:.5;stroke-width:.6}\
svg .course{fill:none;stroke:var(--updated);stroke-width:1.8;stroke-linejoin:round}svg .band{fill:var(--updated);fill-opacity:.2}\
svg .median{stroke:var(--ink);stroke-dasharray:5 4;fill:none}svg .sum{stroke:var(--ink);fill:none}svg .dot{fill:var(--ink)}\
svg .pause{fill:var(--sheet);stroke:none}svg .hatch{stroke:var(--soft);stroke-width:1}svg .attempt{stroke:var(--ink);stroke-dasharray:2 3}";

const PAPER: &str = "\
@media print{figure svg{min-width:0}body{font-size:11px}main{max-width:none;padding:0}.scroll{overflow:visible}\
h2{break-after:avoid}tr,figure,.tiles>div{break-inside:avoid}\
details::details-content{content-visibility:visible;display:block;height:auto}}";

/// The style sheet: light, dark where the reader prefers it, light on paper.
pub(super) fn sheet() -> String {
    let light = variables(|(_, light, _)| light);
    let dark = variables(|(_, _, dark)| dark);
    let classes = ["read", "loaded", "updated", "unchanged", "rejected", "filtered", "duplicate"];
    let classes = classes
        .map(|class| format!("svg .{class}{{fill:var(--{class});stroke:var(--{class})}}"))
        .concat();
    format!(
        ":root{{color-scheme:light dark;{light}}}\
         @media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\
         {RULES}{classes}svg .node{{stroke:none}}{PAPER}"
    )
}

fn variables(pick: impl Fn((&'static str, &'static str, &'static str)) -> &'static str) -> String {
    COLOURS.map(|colour| format!("--{}:{};", colour.0, pick(colour))).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as WCAG 2.2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn every_text_can_be_read_on_both_papers() {
        let named = |wanted| COLOURS.iter().find(|(name, ..)| *name == wanted).unwrap();
        let papers = [named("paper"), named("sheet")];
        for (name, light, dark) in
            COLOURS.iter().filter(|(name, ..)| !["paper", "sheet", "line"].contains(name))
        {
            for (_, light_paper, dark_paper) in papers {
                assert!(
                    contrast(light, light_paper) >= 4.5,
                    "{name} on light: {}",
                    contrast(light, light_paper)
                );
                assert!(
                    contrast(dark, dark_paper) >= 4.5,
                    "{name} on dark: {}",
                    contrast(dark, dark_paper)
                );
            }
        }
    }

    #[test]
    fn the_sheet_asks_nobody_for_anything() {
        for word in ["http:", "https:", "url(", "@import", "@font-face"] {
            assert!(!sheet().contains(word), "{word}");
        }
    }
}
