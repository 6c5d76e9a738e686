//! Who may come in: each control is seen to refuse, and then to let pass.

mod served;

use passerby::web::WebConfig;
use passerby::{keys, signin};
use served::{Answer, NOON_MS, PEER, Server};

const PASSWORD: &str = "passing by";

async fn server() -> Server {
    Server::start(WebConfig::default(), Some(PASSWORD)).await
}

async fn try_password(server: &Server, peer: &str, password: &str) -> Answer {
    let password = password.replace(' ', "+");
    server
        .send_from(
            peer,
            &format!(
                "POST /sign-in\nsec-fetch-site: same-origin\ncontent-type: application/x-www-form-urlencoded\n\npassword={password}"
            ),
        )
        .await
}

/// The cookie of an answer that signs in, as a browser sends it back.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// Whether a cookie opens a dashboard.
async fn opens(server: &Server, cookie: &str) -> bool {
    match server.send(&format!("GET /example.com\ncookie: {cookie}")).await.status {
        200 => true,
        404 => false,
        other => panic!("a dashboard answered {other}"),
    }
}

#[tokio::test]
async fn the_password_signs_in_and_signing_out_ends_it() {
    let server = server().await;
    assert_eq!(try_password(&server, PEER, "something else").await.status, 401);
    assert_eq!(try_password(&server, PEER, "").await.status, 401);
    let answer = try_password(&server, PEER, PASSWORD).await;
    assert_eq!((answer.status, answer.header("location").as_str()), (303, "/"));
    let said = answer.header("set-cookie");
    assert!(
        said.contains("; HttpOnly; SameSite=Lax") && said.contains("; Path=/;") && !said.contains("Secure"),
        "{said}"
    );
    let cookie = cookie(&answer);
    assert!(opens(&server, &cookie).await);
    assert!(!opens(&server, "passerby=0000").await);
    assert!(!opens(&server, "other=1").await);

    let out = server.send(&format!("POST /sign-out\nsec-fetch-site: same-origin\ncookie: {cookie}")).await;
    assert_eq!(out.status, 303);
    assert!(!opens(&server, &cookie).await, "a cookie kept from before is worth nothing");
}

#[tokio::test]
async fn each_sign_in_is_a_new_one_and_ends_by_itself() {
    let server = server().await;
    let first = cookie(&try_password(&server, PEER, PASSWORD).await);
    let brought = "passerby=chosen-by-somebody-else";
    let answer = server
        .send(&format!(
            "POST /sign-in\nsec-fetch-site: same-origin\ncookie: {brought}\ncontent-type: application/x-www-form-urlencoded\n\npassword=passing+by"
        ))
        .await;
    let second = cookie(&answer);
    assert_ne!(first, second);
    assert_ne!(second, brought);
    server.wait_ms(signin::SESSION_MS - 1);
    assert!(opens(&server, &first).await);
    server.wait_ms(1);
    assert!(!opens(&server, &first).await);
    assert!(!opens(&server, &second).await);
    signin::forget_ended(&*server.app.store, NOON_MS + signin::SESSION_MS).await.unwrap();
    assert_eq!(server.app.store.settings("auth/session/").await.unwrap(), []);
}

#[tokio::test]
async fn a_link_works_once_in_its_day() {
    let server = server().await;
    let store = &*server.app.store;
    let token = signin::new_link(store, NOON_MS).await.unwrap();
    assert_eq!(
        server.send(&format!("GET /sign-in?token={}", "0".repeat(64))).await.status,
        401,
        "not this one"
    );
    let looked = server.send(&format!("HEAD /sign-in?token={token}")).await;
    assert_eq!(looked.status, 200, "a preview of the link does not use it up");
    let answer = server.send(&format!("GET /sign-in?token={token}")).await;
    assert_eq!(answer.status, 303);
    assert!(opens(&server, &cookie(&answer)).await);
    assert_eq!(server.send(&format!("GET /sign-in?token={token}")).await.status, 401, "not twice");

    let late = signin::new_link(store, NOON_MS).await.unwrap();
    server.wait_ms(signin::LINK_MS);
    assert_eq!(server.send(&format!("GET /sign-in?token={late}")).await.status, 401, "not after a day");

    let old = signin::new_link(store, server.app.now_ms()).await.unwrap();
    let new = signin::new_link(store, server.app.now_ms()).await.unwrap();
    assert_eq!(server.send(&format!("GET /sign-in?token={old}")).await.status, 401, "a new one replaces it");
    assert_eq!(server.send(&format!("GET /sign-in?token={new}")).await.status, 303);
}

#[tokio::test]
async fn a_link_taken_by_two_at_once_lets_one_in() {
    let server = server().await;
    let store = &*server.app.store;
    let token = signin::new_link(store, NOON_MS).await.unwrap();
    let tries = (0..8).map(|_| signin::take_link(store, &token, NOON_MS));
    let mut let_in = 0;
    for taken in futures(tries).await {
        let_in += usize::from(taken.unwrap());
    }
    assert_eq!(let_in, 1);
}

/// Runs all at once, on this task.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|cx| {
        for (one, done) in &mut waiting {
            if done.is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(cx)
            {
                *done = Some(value);
            }
        }
        if waiting.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test]
async fn posts_from_other_sites_are_refused() {
    let server = server().await;
    let form = "content-type: application/x-www-form-urlencoded\n\npassword=passing+by";
    for (headers, status) in [
        ("sec-fetch-site: same-origin", 303),
        ("sec-fetch-site: none", 303),
        ("sec-fetch-site: cross-site", 403),
        ("sec-fetch-site: same-site", 403),
        ("sec-fetch-site: cross-site\norigin: http://stats.example\nhost: stats.example", 403),
        ("origin: http://stats.example\nhost: stats.example", 303),
        ("origin: https://stats.example:8443\nhost: stats.example:8443", 303),
        ("origin: http://evil.example\nhost: stats.example", 403),
        ("origin: http://stats.example.evil.example\nhost: stats.example", 403),
        ("origin: null\nhost: stats.example", 403),
        ("origin: ftp://stats.example\nhost: stats.example", 403),
        ("host: stats.example", 403),
    ] {
        let answer = server.send(&format!("POST /sign-in\n{headers}\n{form}")).await;
        assert_eq!(answer.status, status, "{headers}");
        let answer = server.send(&format!("POST /sign-out\n{headers}")).await;
        assert_eq!(answer.status, status, "sign-out, {headers}");
    }
}

#[tokio::test]
async fn guessing_is_slowed_and_the_owner_still_gets_in() {
    let server = server().await;
    let mut evaluated = 0;
    for i in 0..200 {
        let answer = try_password(&server, &format!("192.0.2.{i}:1"), "guess").await;
        match answer.status {
            401 => evaluated += 1,
            429 => assert_eq!(answer.header("retry-after"), "1"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(evaluated, 5);
    assert_eq!(try_password(&server, "192.0.2.1:1", PASSWORD).await.status, 429, "not even the right one");
    assert_eq!(try_password(&server, "198.51.100.1:1", PASSWORD).await.status, 303, "from another network");
    server.wait_ms(1000);
    assert_eq!(try_password(&server, "192.0.2.1:1", PASSWORD).await.status, 303, "after the wait");
}

#[tokio::test]
async fn without_a_password_only_links_sign_in() {
    let server = Server::start(WebConfig::default(), None).await;
    assert_eq!(try_password(&server, PEER, "").await.status, 401);
    let token = signin::new_link(&*server.app.store, NOON_MS).await.unwrap();
    assert_eq!(server.send(&format!("GET /sign-in?token={token}")).await.status, 303);
}

#[tokio::test]
async fn the_cookie_is_secure_behind_a_trusted_proxy_that_says_https() {
    let web = WebConfig { trusted: vec!["10.0.0.0/8".parse().unwrap()], ..WebConfig::default() };
    let server = Server::start(web, Some(PASSWORD)).await;
    let post = "POST /sign-in\nsec-fetch-site: same-origin\nx-forwarded-proto: https\ncontent-type: application/x-www-form-urlencoded\n\npassword=passing+by";
    let trusted = server.send_from("10.0.0.1:1", post).await;
    let said = trusted.header("set-cookie");
    assert!(said.starts_with("__Host-passerby=") && said.ends_with("; Secure"), "{said}");
    assert!(opens(&server, &cookie(&trusted)).await);
    let stranger = server.send_from(PEER, post).await;
    assert!(!stranger.header("set-cookie").contains("Secure"), "a stranger's word changes nothing");
}

#[tokio::test]
async fn public_dashboards_need_no_sign_in() {
    let server = Server::start(WebConfig { public: true, ..WebConfig::default() }, None).await;
    assert!(opens(&server, "").await);
    assert_eq!(server.send("GET /nowhere.example").await.status, 404);
}

/// What a stranger may not see and what is not there look the same.
#[tokio::test]
async fn strangers_cannot_tell_which_sites_are_here() {
    let server = server().await;
    let here = server.send("GET /example.com").await;
    let nowhere = server.send("GET /nowhere.example").await;
    assert_eq!((here.status, here.body), (nowhere.status, nowhere.body));
}

#[tokio::test]
async fn every_page_carries_its_guards() {
    let server = server().await;
    for path in ["/", "/sign-in", "/example.com", "/nowhere.example/a/b/c", "/health"] {
        let answer = server.send(&format!("GET {path}")).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; ")
                && policy.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert!(answer.header("cache-control").contains("no-store"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn keys_open_the_api_for_their_site_alone() {
    let server = server().await;
    let store = &*server.app.store;
    let example = server.app.sites.get("example.com", NOON_MS).await.unwrap().unwrap().id;
    let one = keys::add(store, "one", Some(example), NOON_MS).await.unwrap().unwrap();
    let all = keys::add(store, "all", None, NOON_MS).await.unwrap().unwrap();
    assert_eq!(keys::add(store, "all", None, NOON_MS).await.unwrap(), None, "a name is taken once");
    let wrong_secret = format!("{}{}", &one[..one.len() - 1], if one.ends_with('0') { '1' } else { '0' });
    let swapped = format!("{}{}", &one[..20], &all[20..]);
    for (key, site, status) in [
        (one.as_str(), "example.com", 200),
        (&one, "other.example", 401),
        (&one, "nowhere.example", 401),
        (&all, "example.com", 200),
        (&all, "other.example", 200),
        (&all, "nowhere.example", 401),
        (&wrong_secret, "example.com", 401),
        (&swapped, "example.com", 401),
        ("", "example.com", 401),
        ("pb_", "example.com", 401),
        ("pb_zzzz_0", "example.com", 401),
    ] {
        let question = format!(r#"{{"site_id":"{site}","metrics":["visitors"],"date_range":"day"}}"#);
        let answer =
            server.send(&format!("POST /api/v2/query\nauthorization: Bearer {key}\n\n{question}")).await;
        assert_eq!(answer.status, status, "{key} for {site}: {}", answer.body);
    }
    let answer = server.send(&format!("POST /api/v2/query\nauthorization: Bearer {all}\n\n{{}}")).await;
    assert_eq!(answer.status, 400);
    assert!(keys::remove(store, "one").await.unwrap());
    assert!(!keys::remove(store, "one").await.unwrap());
    assert!(keys::check(store, &one).await.unwrap().is_none());
    assert!(keys::check(store, &all).await.unwrap().is_some());
}

/// Nothing that opens anything is stored as it is.
#[tokio::test]
async fn secrets_are_stored_as_hashes() {
    let server = server().await;
    let store = &*server.app.store;
    let key = keys::add(store, "all", None, NOON_MS).await.unwrap().unwrap();
    let link = signin::new_link(store, NOON_MS).await.unwrap();
    let session = cookie(&try_password(&server, PEER, PASSWORD).await);
    let secrets = [key.rsplit('_').next().unwrap(), &link, session.split('=').next_back().unwrap(), PASSWORD];
    let settings = store.settings("").await.unwrap();
    assert!(settings.len() >= 5);
    for setting in settings {
        let text = format!("{} {}", setting.key, String::from_utf8_lossy(&setting.value));
        for secret in secrets {
            assert!(!text.contains(secret), "{} holds a secret", setting.key);
        }
    }
}
