//! Modules of a crate do not import each other in a circle: each can be read after those that it imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::sources;

/// The path of a module below its crate.
type Module = Vec<String>;

fn module_of(file: &Path) -> Module {
    let mut names: Module =
        file.with_extension("").iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    if names.last().is_some_and(|name| name == "mod" || name == "lib" || name == "main") {
        names.pop();
    }
    names
}

/// The paths that the `use` declarations of a file name, its unit tests left out.
fn imports(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut paths = Vec::new();
    for declaration in text.split(";\n") {
        let line = declaration.rfind("use ").filter(|at| {
            let before = declaration[..*at].rsplit('\n').next().unwrap_or_default();
            before.is_empty() || (before.starts_with("pub") && before.ends_with(' '))
        });
        if let Some(at) = line {
            let tree: String = declaration[at + 4..].split_whitespace().collect::<Vec<_>>().join(" ");
            expand("", &tree, &mut paths);
        }
    }
    paths
}

/// `a::{b, c::d}` names `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let mut depth = 0;
    let items = tree.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    for item in items.map(str::trim).filter(|item| !item.is_empty()) {
        match item.split_once('{') {
            Some((head, group)) => {
                expand(&format!("{prefix}{head}"), group.strip_suffix('}').unwrap(), paths);
            }
            None => paths.push(format!("{prefix}{}", item.split(" as ").next().unwrap_or_default())),
        }
    }
}

/// The module of the crate that a path in `within` leads into; `None` for other crates and the root.
fn imported(path: &str, within: &Module, modules: &BTreeMap<Module, String>) -> Option<Module> {
    let mut names: Vec<&str> = path.split("::").collect();
    let mut base = match names[0] {
        "crate" => Module::new(),
        "self" | "super" => within.clone(),
        _ => return None,
    };
    while names[0] == "super" && names.len() > 1 {
        base.pop();
        names.remove(0);
    }
    let skipped = usize::from(names[0] == "crate" || names[0] == "self");
    base.extend(names[skipped..].iter().map(|name| (*name).to_owned()));
    while !base.is_empty() && !modules.contains_key(&base) {
        base.pop();
    }
    (!base.is_empty()).then_some(base)
}

/// What each module imports, its own parents and children left out: they are one unit.
fn import_graph(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let of = |(module, text): (&Module, &String)| {
        let imported = imports(text).into_iter().filter_map(|path| imported(&path, module, modules));
        let others = imported.filter(|other| !other.starts_with(module) && !module.starts_with(other));
        (module.clone(), others.collect())
    };
    modules.iter().map(of).collect()
}

/// The modules that are part of a circle, or on the way from one to another.
fn circular(mut graph: BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    loop {
        let importing: BTreeSet<Module> =
            graph.iter().filter(|(_, to)| !to.is_empty()).map(|(module, _)| module.clone()).collect();
        let imported: BTreeSet<Module> = graph.values().flatten().cloned().collect();
        let before = graph.len();
        graph.retain(|module, _| importing.contains(module) && imported.contains(module));
        let left: BTreeSet<Module> = graph.keys().cloned().collect();
        graph.values_mut().for_each(|to| to.retain(|module| left.contains(module)));
        if graph.len() == before {
            return left.iter().map(|module| module.join("::")).collect();
        }
    }
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    for name in [
        "aqueduct",
        "cli",
        "conformance",
        "core",
        "devstack",
        "devstore",
        "eventstore",
        "kafka",
        "projection",
        "relay",
        "schema",
        "service",
        "shop",
        "shop-verify",
        "verify",
    ] {
        let modules = sources(name).into_iter().map(|(path, text)| (module_of(&path), text)).collect();
        let found = circular(import_graph(&modules));
        assert!(found.is_empty(), "crate {name}: these modules import each other in a circle: {found:#?}");
    }
}

#[test]
fn a_circle_is_found_through_groups_and_super() {
    let files = [
        (vec!["a"], "use std::fmt;\nuse crate::{c, b::{B, other}};\n"),
        (vec!["b"], "pub(crate) use self::d::D;\nuse crate::c::C as E;\n"),
        (vec!["b", "d"], "use super::super::c::C;\n"),
        (vec!["c"], "pub struct C;\n\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"),
    ];
    let mut modules: BTreeMap<Module, String> = files
        .into_iter()
        .map(|(module, text)| (module.into_iter().map(str::to_owned).collect(), text.to_owned()))
        .collect();
    assert_eq!(circular(import_graph(&modules)), [""; 0]);
    modules.insert(vec!["c".to_owned()], "use crate::a::A;\n".to_owned());
    assert_eq!(circular(import_graph(&modules)), ["a", "b", "c"]);
}
