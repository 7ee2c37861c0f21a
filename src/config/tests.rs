use super::value::bytes;
use super::*;

fn read(toml: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tollgate.toml");
    std::fs::write(&path, toml).unwrap();
    Config::read(&gather(Some(&path), &Environment::of(environment), &[])?, 0)
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let config = read(
        "[gateway]\nlisten = \"127.0.0.1:1\"\n",
        &[("TOLLGATE_GATEWAY_LISTEN", "127.0.0.1:2")],
    )
    .unwrap();
    assert_eq!(config.gateway_listen.port(), 2);
    let flags = [("gateway.listen", "listen", "127.0.0.1:3".to_owned())];
    let environment = Environment::of(&[("TOLLGATE_GATEWAY_LISTEN", "127.0.0.1:2")]);
    let config = Config::read(&gather(None, &environment, &flags).unwrap(), 0).unwrap();
    assert_eq!(config.gateway_listen.port(), 3);
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    let error = read("[gateway]\nlitsen = \"127.0.0.1:1\"\n", &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("unknown key gateway.litsen; did you mean gateway.listen?"),
        "{error}"
    );
    let error = read("", &[("TOLLGATE_PORTAL_LISTE", "x")]).unwrap_err().to_string();
    assert!(error.contains("did you mean TOLLGATE_PORTAL_LISTEN?"), "{error}");
}

#[test]
fn values_of_the_wrong_form_say_what_to_write() {
    for (toml, part) in [
        (
            "[gateway]\nlisten = \"8080\"\n",
            "gateway.listen: 8080 is not an address and port",
        ),
        (
            "[journal]\nmax_bytes = \"8 parsec\"\n",
            "journal.max_bytes: 8 parsec is not a size",
        ),
        (
            "[journal]\nwhen_full = \"drop\"\n",
            "drop is not one of shed, serve-unmetered",
        ),
        (
            "[gateway.tls]\ncert = \"a.pem\"\n",
            "gateway.tls.cert is set and gateway.tls.key is not",
        ),
        ("trusted_proxies = [\"10.0.0.0/33\"]\n", "10.0.0.0/33 is not a network"),
        ("drain_timeout = \"soon\"\n", "drain_timeout: not a duration"),
        ("gateway = [", "tollgate.toml"),
    ] {
        let error = read(toml, &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_port_offset_moves_only_listeners_that_keep_their_default() {
    let environment = Environment::of(&[("TOLLGATE_OPS_LISTEN", "127.0.0.1:9000")]);
    let config = Config::read(&gather(None, &environment, &[]).unwrap(), 100).unwrap();
    assert_eq!(
        (
            config.gateway_listen.port(),
            config.portal_listen.port(),
            config.ops_listen.port()
        ),
        (8180, 8181, 9000)
    );
}

#[test]
fn secrets_are_masked() {
    let environment = Environment::of(&[
        ("TOLLGATE_STORE_URL", "postgres://app:hunter2@db:5432/tollgate"),
        ("TOLLGATE_PAYMENTS_STRIPE_SECRET_KEY", "hunter3"),
    ]);
    let shown = show(&gather(None, &environment, &[]).unwrap());
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("postgres://app:••••••••@db:5432/tollgate"), "{shown}");
}

#[test]
fn keys_whose_adapter_is_not_built_are_named() {
    let config = read("[telemetry]\notlp_url = \"http://localhost:4318\"\n", &[]).unwrap();
    assert_eq!(
        config.not_built,
        ["telemetry.otlp_url: exporting traces is not supported yet"]
    );
}

#[test]
fn shared_counters_are_named_by_an_address_that_stands() {
    let read = |url: &str| read(&format!("[counters]\nurl = \"{url}\"\n"), &[]);
    for url in [
        "redis://:hunter2@cache:6379/1",
        "rediss://cache",
        "redis+sentinel://app:hunter2@a:26379,b/main",
        "redis+cluster://a:7000,b:7001",
    ] {
        let config = read(url).unwrap();
        assert_eq!((config.counters_url.as_deref(), config.not_built.len()), (Some(url), 0));
    }
    assert_eq!(
        super::Config::read(&gather(None, &Environment::of(&[]), &[]).unwrap(), 0)
            .unwrap()
            .counters_url,
        None
    );
    for url in [
        "memcached://a",
        "redis+sentinel://app:hunter2@a:26379",
        "redis+cluster://a:hunter2",
    ] {
        let error = read(url).unwrap_err().to_string();
        assert!(
            error.contains("counters.url: ") && !error.contains("app:hunter2"),
            "{error}"
        );
    }
    let environment = Environment::of(&[("TOLLGATE_COUNTERS_URL", "redis+cluster://app:hunter2@a:7000,b:7001")]);
    let shown = show(&gather(None, &environment, &[]).unwrap());
    assert!(shown.contains("redis+cluster://app:••••••••@a:7000,b:7001"), "{shown}");
}

#[test]
fn mail_needs_a_sender_and_a_server_that_keeps_its_password() {
    let config = read("", &[]).unwrap();
    assert_eq!(
        (config.mail.url.as_str(), config.mail.from.as_str()),
        ("outbox:", "no-reply@localhost")
    );
    assert!(config.mail.outbox.ends_with("tollgate-data/outbox"));
    for (toml, part) in [
        ("url = \"smtp://mail.example.com\"", "mail.from is not set"),
        ("from = \"nobody\"", "mail.from: the sender is not a mail address"),
        ("url = \"http://mail\"\nfrom = \"a@example.com\"", "mail.url: "),
        (
            "url = \"smtp://a:hunter2@mail?tls=none\"\nfrom = \"a@example.com\"",
            "the password would travel unencrypted",
        ),
    ] {
        let error = read(&format!("[mail]\n{toml}\n"), &[]).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn sizes_are_read_with_their_unit() {
    assert_eq!(bytes("8GiB"), Some(8 << 30));
    assert_eq!(bytes("64 KiB"), Some(64 << 10));
    assert_eq!(bytes("1000"), Some(1000));
    assert_eq!(bytes("-1"), None);
    assert_eq!(bytes("99999999999GiB"), None);
}
