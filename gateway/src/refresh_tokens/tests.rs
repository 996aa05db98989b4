use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

const GRANT: [u8; 32] = [7; 32];

struct Rig {
    folder: TempDir,
    tokens: RefreshTokens,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = opened(&folder);
        Self { folder, tokens }
    }

    /// The same folder in another process.
    fn restarted(self) -> Self {
        let Self { folder, tokens } = self;
        drop(tokens);
        let tokens = opened(&folder);
        Self { folder, tokens }
    }

    fn claim(&self) -> Box<dyn Claim> {
        self.tokens.claim(&GRANT).unwrap().expect("nobody else has it")
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("refresh-tokens").join(hex::encode(GRANT))
    }
}

fn opened(folder: &TempDir) -> RefreshTokens {
    RefreshTokens::new(Arc::new(DataDir::open(folder.path(), None).unwrap()))
}

fn text(claim: &dyn Claim) -> Option<&str> {
    claim.token().map(Secret::expose)
}

#[test]
fn a_token_stays_over_a_restart_sealed_and_for_its_owner_only() {
    let rig = Rig::new();
    let mut claim = rig.claim();
    assert_eq!(text(&*claim), None);
    claim.replace(Secret::new("planted-token")).unwrap();
    drop(claim);
    let rig = rig.restarted();
    assert_eq!(text(&*rig.claim()), Some("planted-token"));
    let file = fs::read(rig.path()).unwrap();
    assert!(!file.windows(7).any(|window| window == b"planted"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = rig.folder.path().join("refresh-tokens");
    assert_eq!((mode(&folder), mode(&rig.path())), (0o700, 0o600));
}

#[test]
fn one_at_a_time_uses_a_token_and_others_do_not_wait_for_it() {
    let rig = Rig::new();
    let claim = rig.claim();
    assert!(rig.tokens.claim(&GRANT).unwrap().is_none());
    assert!(rig.tokens.claim(&[8; 32]).unwrap().is_some());
    drop(claim);
    assert!(rig.tokens.claim(&GRANT).unwrap().is_some());
}

#[test]
fn a_token_that_cannot_be_written_is_written_before_anybody_uses_the_grant() {
    let rig = Rig::new();
    let mut claim = rig.claim();
    // A folder cannot be replaced by a file.
    fs::create_dir(rig.path()).unwrap();
    claim.replace(Secret::new("next")).unwrap_err();
    drop(claim);
    assert!(rig.tokens.claim(&GRANT).is_err(), "the one before may be used up");
    fs::remove_dir(rig.path()).unwrap();
    assert_eq!(text(&*rig.claim()), Some("next"));
    assert_eq!(text(&*rig.restarted().claim()), Some("next"));
}

#[test]
fn a_damaged_file_is_kept_aside_and_that_of_another_grant_is_not_taken() {
    let rig = Rig::new();
    rig.claim().replace(Secret::new("mine")).unwrap();
    let mut other = rig.tokens.claim(&[8; 32]).unwrap().unwrap();
    other.replace(Secret::new("other's")).unwrap();
    let foreign = rig.path().with_file_name(hex::encode([8; 32]));
    fs::copy(foreign, rig.path()).unwrap();
    assert_eq!(text(&*rig.claim()), None);
    assert!(rig.path().with_added_extension("bad").exists());
    fs::write(rig.path(), "GWREF").unwrap();
    assert_eq!(text(&*rig.claim()), None);
}

#[test]
fn a_file_of_a_newer_gateway_is_left_alone() {
    let rig = Rig::new();
    rig.claim().replace(Secret::new("mine")).unwrap();
    let mut file = fs::read(rig.path()).unwrap();
    file[KIND.magic.len()] = KIND.format + 1;
    fs::write(rig.path(), &file).unwrap();
    let refused = rig.tokens.claim(&GRANT).err().unwrap().to_string();
    assert!(refused.contains("format is 2"), "{refused}");
    assert_eq!(fs::read(rig.path()).unwrap(), file);
}

#[test]
fn files_that_nobody_used_for_long_are_taken_away() {
    let rig = Rig::new();
    rig.claim().replace(Secret::new("mine")).unwrap();
    let old = File::options().write(true).open(rig.path()).unwrap();
    old.set_modified(SystemTime::now() - UNUSED_AFTER / 2).unwrap();
    let rig = rig.restarted();
    assert!(rig.path().exists());
    old.set_modified(SystemTime::now() - UNUSED_AFTER - Duration::from_hours(1))
        .unwrap();
    let rig = rig.restarted();
    assert!(!rig.path().exists());
    assert!(rig.path().with_extension(LOCK).exists());
}
