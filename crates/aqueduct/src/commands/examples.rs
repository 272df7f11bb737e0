//! The examples in the help of the commands.

/// Commands that take more than the configuration, with the arguments of the example in their help.
const EXAMPLES: [(&str, &str); 28] = [
    ("init", "my-system"),
    ("completions", "bash > completions.bash"),
    ("devstore", "--in-memory"),
    ("dev", "--postgres-port 5433"),
    ("consumer test", "-- .venv/bin/python consumer.py"),
    ("verify", "--strict"),
    ("status", "--watch"),
    ("doctor", "--json"),
    ("parked list", "--projection balances"),
    ("parked show", "17 --payload"),
    ("parked replay", "--stream order-42"),
    ("parked park", "7@order-42 --route orders"),
    ("parked skip", "7@order-42 --route orders"),
    ("parked discard", "--stream order-42 --revision 7 --yes"),
    ("projection test", "orders"),
    ("projection install", "invoices --owner invoicing"),
    ("projection accept", "invoices topic_recreated"),
    ("schemas check", "--against origin/main"),
    ("schemas release", ""),
    ("schemas list", "--json"),
    ("schemas diff", "orders/OrderCreated 1 2"),
    ("schemas prove", "--values 1000"),
    ("schemas history", "--candidate ../new/schemas"),
    ("schemas new", "orders/OrderCreated"),
    ("schemas policy", "> schemas/policy.toml"),
    ("schemas generate", "--output src/events.rs"),
    ("schemas infer", "orders --category order"),
    ("schemas conformance", "recordings"),
];

/// Gives each command an example. `path` is what is typed to run it.
pub(super) fn with_examples(mut command: clap::Command, path: &str) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    for name in &names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(name, |it| with_examples(it, &path));
    }
    if command.get_after_help().is_some() {
        return command;
    }
    let arguments = match names.first() {
        Some(name) => name,
        None => EXAMPLES
            .iter()
            .find(|(command, _)| path.strip_suffix(command).is_some_and(|app| app.ends_with(' ')))
            .map_or("--config staging.toml", |(_, arguments)| arguments),
    };
    let example = format!("Example:\n    {path} {arguments}");
    command.after_help(example.trim_end().to_owned())
}
