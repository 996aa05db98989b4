//! Users of the control plane: the first administrator, sessions on two control planes, roles and keys, from the outside.

use harness::client::{Reply, client};
use harness::control_plane::Setup;
use harness::{ControlPlane, Mongo, wait};
use reqwest::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn from_the_token_of_the_first_start_to_a_key_for_a_program() {
    let mut control_plane = ControlPlane::start().await;
    let shown = control_plane.process.output();
    let token = first_admin_token(&shown);
    let first = json!({"token": token, "email": "ana@clinic.example", "password": PASSWORD});
    let made = Reply::of(anybody(&control_plane, "first-admin").json(&first)).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let ana = made.json()["token"].as_str().unwrap().to_owned();

    let ben = json!({"email": "ben@clinic.example", "role": "USER", "orgIds": [648], "password": PASSWORD});
    let path = "/api/v1/admin/users";
    let created = call(&control_plane, &ana, Method::POST, path, Some(&ben)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let ben = sign_in(&control_plane, "ben@clinic.example").await;
    let refused = call(&control_plane, &ben, Method::GET, path, None).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "FORBIDDEN"));
    let key = json!({"name": "nightly", "role": "READ_ONLY", "orgIds": [648]});
    let key = call(&control_plane, &ana, Method::POST, "/api/v1/admin/api-keys", Some(&key)).await;
    let key = key.json()["key"].as_str().unwrap().to_owned();

    // All of it is on disk.
    control_plane.process.kill();
    let control_plane = control_plane.setup().start().await;
    assert!(
        !control_plane.process.output().contains("first administrator"),
        "there is somebody"
    );
    for token in [&ana, &ben] {
        assert_eq!(
            call(&control_plane, token, Method::GET, "/api/v1/auth/me", None)
                .await
                .status,
            200
        );
    }
    let with_key = |method, path: &str| {
        let url = format!("{}{path}", control_plane.url());
        client().request(method, url).header("x-api-key", &key).json(&json!({}))
    };
    let read = Reply::of(with_key(Method::GET, "/api/v1/logs?orgId=648")).await;
    assert_eq!(read.status, 200, "{}", read.text());
    let write = Reply::of(with_key(Method::POST, "/api/v1/inbound-integrations?orgId=648")).await;
    assert_eq!((write.status, write.code().as_str()), (403, "FORBIDDEN"));

    let audit = call(&control_plane, &ana, Method::GET, "/api/v1/admin/audit-logs", None).await;
    for action in [
        "auth.first-admin",
        "user.create",
        "auth.login",
        "apiKey.create",
        "organization.create",
    ] {
        assert!(audit.text().contains(action), "{action} is not in {}", audit.text());
    }
    for secret in [PASSWORD, token.as_str(), &key, &ana] {
        assert!(!audit.text().contains(secret));
        assert!(!control_plane.process.output().contains(secret) && !files_hold(&control_plane, secret));
    }
}

#[tokio::test]
async fn a_session_that_ends_at_one_control_plane_ends_at_the_other() {
    let Some(mongo) = Mongo::available().await else { return };
    let one = Setup::new().mongo(&mongo).start().await;
    let other = one.setup_of_a_sibling().start().await;
    let ben = json!({"email": "ben@clinic.example", "role": "USER", "orgIds": [648], "password": PASSWORD});
    let created = one.post("/api/v1/admin/users", &ben).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let me = "/api/v1/auth/me";
    let token = sign_in(&one, "ben@clinic.example").await;
    assert_eq!(call(&other, &token, Method::GET, me, None).await.status, 200);
    let logout = call(&one, &token, Method::POST, "/api/v1/auth/logout", None).await;
    assert_eq!(logout.status, 204, "{}", logout.text());
    assert_eq!(call(&one, &token, Method::GET, me, None).await.status, 401, "at once");
    wait::until("the end of the session at the other control plane", async || {
        (call(&other, &token, Method::GET, me, None).await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_person_works_from_the_command_line() {
    let control_plane = ControlPlane::start().await;
    let ben = json!({"email": "ben@clinic.example", "role": "USER", "orgIds": [648], "password": PASSWORD});
    assert_eq!(control_plane.post("/api/v1/admin/users", &ben).await.status, 201);
    let home = tempfile::TempDir::new().unwrap();
    let password = home.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let gwctl = async |arguments: &[&str]| {
        let mut command = std::process::Command::new(harness::binaries::find("gwctl"));
        command.args(arguments).args(["--server", &control_plane.url()]);
        command
            .env("XDG_CONFIG_HOME", home.path())
            .env_remove("GWCTL_KEY")
            .env_remove("GWCTL_KEY_FILE");
        tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap()
    };
    let list = ["get", "integrations", "--org", "648"];
    assert_eq!(gwctl(&list).await.status.code(), Some(4), "nobody is signed in");
    let login = [
        "login",
        "--email",
        "ben@clinic.example",
        "--password-file",
        password.to_str().unwrap(),
    ];
    let signed_in = gwctl(&login).await;
    let said = String::from_utf8_lossy(&signed_in.stderr).into_owned();
    assert!(
        signed_in.status.success() && said.contains("signed in as ben@clinic.example (USER)"),
        "{said}"
    );
    let file = home.path().join("gwctl").join("tokens.json");
    let token = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions()) & 0o777,
        0o600
    );
    assert_eq!(gwctl(&list).await.status.code(), Some(0));
    assert_eq!(
        gwctl(&["get", "integrations", "--org", "7"]).await.status.code(),
        Some(4)
    );
    assert!(gwctl(&["logout"]).await.status.success());
    assert_eq!(gwctl(&list).await.status.code(), Some(4));
    let token: Value = serde_json::from_str(&token).unwrap();
    let token = token
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        call(&control_plane, &token, Method::GET, "/api/v1/auth/me", None)
            .await
            .status,
        401
    );
}

fn first_admin_token(output: &str) -> String {
    let line = output
        .lines()
        .find(|line| line.starts_with("token of the first administrator"));
    let token = line.and_then(|line| line.rsplit(' ').next());
    token.unwrap_or_else(|| panic!("no token in {output}")).to_owned()
}

fn anybody(control_plane: &ControlPlane, path: &str) -> reqwest::RequestBuilder {
    client().post(format!("{}/api/v1/auth/{path}", control_plane.url()))
}

async fn sign_in(control_plane: &ControlPlane, email: &str) -> String {
    let body = json!({"email": email, "password": PASSWORD});
    let signed_in = Reply::of(anybody(control_plane, "login").json(&body)).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
    signed_in.json()["token"].as_str().unwrap().to_owned()
}

async fn call(control_plane: &ControlPlane, token: &str, method: Method, path: &str, body: Option<&Value>) -> Reply {
    let request = client()
        .request(method, format!("{}{path}", control_plane.url()))
        .bearer_auth(token);
    Reply::of(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

/// True if a file of the data folder holds this text.
fn files_hold(control_plane: &ControlPlane, text: &str) -> bool {
    let files = std::fs::read_dir(control_plane.data_folder()).unwrap();
    files.into_iter().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
