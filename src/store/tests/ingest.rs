use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

const LENGTH: usize = 1 << 20;

fn whole(ingest: &Ingest, bytes: &[u8]) {
    for range in ingest.missing() {
        write(ingest, bytes, range);
    }
}

fn write(ingest: &Ingest, bytes: &[u8], range: Range<u64>) {
    let slice = &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
    ingest.write_at(range.start, &[slice]).unwrap();
}

#[test]
fn bytes_may_come_in_any_order_and_twice() {
    let fixture = Fixture::new();
    let bytes = content(1, LENGTH);
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    for range in [700_000..900_000, 0..10, 5..300_000, 250_000..750_000, 0..LENGTH as u64] {
        write(&ingest, &bytes, range);
    }
    assert!(ingest.missing().is_empty());
    assert_eq!(ingest.present(), LENGTH as u64);
    assert!(!fixture.store.has_blob(&blob).unwrap());
    ingest.commit().unwrap();
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), bytes);
    assert!(is_empty(&fixture.store.root().join("ingest")));
}

#[test]
fn whoever_brings_too_much_for_the_hash_waits_for_it() {
    let fixture = Fixture::new();
    let bytes = content(3, 80 * LENGTH);
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    // The first byte comes last: until then nothing is next in order, and nobody waits.
    write(&ingest, &bytes, 1..blob.size);
    ingest.keep_up().unwrap();
    assert!(!ingest.is_behind());
    write(&ingest, &bytes, 0..1);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ingest.keep_up().unwrap());
        }
    });
    let backlog = ingest.backlog();
    assert!(ingest.is_behind() && backlog.end - backlog.start <= 32 * LENGTH as u64, "{backlog:?}");
    ingest.commit().unwrap();
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), bytes);
}

#[test]
fn nobody_waits_for_the_hash_of_what_was_here_before() {
    let fixture = Fixture::new();
    let bytes = content(4, 96 * LENGTH);
    let blob = describe(&bytes);
    let earlier = fixture.fetch(&blob);
    write(&earlier, &bytes, 0..40 * LENGTH as u64);
    earlier.record().unwrap();
    drop(earlier);
    let ingest = fixture.fetch(&blob);
    write(&ingest, &bytes, 40 * LENGTH as u64..blob.size);
    ingest.keep_up().unwrap();
    assert_eq!(ingest.backlog(), 0..blob.size);
    ingest.commit().unwrap();
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), bytes);
}

#[test]
fn eight_threads_may_write_one_blob() {
    let fixture = Fixture::new();
    let bytes = content(2, 8 * LENGTH);
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    thread::scope(|scope| {
        for part in 0..8 {
            let (ingest, bytes) = (&ingest, &bytes);
            scope.spawn(move || {
                for chunk in 0..16 {
                    let start = part * LENGTH as u64 + chunk * 65536;
                    write(ingest, bytes, start..start + 65536);
                }
                ingest.record().unwrap();
            });
        }
    });
    ingest.commit().unwrap();
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), bytes);
}

#[test]
fn bytes_written_over_others_cannot_reach_a_commit() {
    let fixture = Fixture::new();
    let bytes = content(3, 1000);
    let ingest = fixture.fetch(&describe(&bytes));
    ingest.write_at(0, &[&bytes]).unwrap();
    ingest.write_at(0, &[&content(4, 1000)]).unwrap();
    ingest.commit().unwrap();
    assert_eq!(fs::read(fixture.store.blob_path(&Digest::sha256(&bytes))).unwrap(), bytes);
}

#[test]
fn an_ingest_goes_on_with_what_was_recorded() {
    let fixture = Fixture::new();
    let bytes = content(5, LENGTH);
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    write(&ingest, &bytes, 0..1000);
    write(&ingest, &bytes, 5000..6000);
    ingest.record().unwrap();
    write(&ingest, &bytes, 8000..9000);
    drop(ingest);
    let ingest = fetch(&fixture.reopen(), &fixture.lease, &blob);
    assert_eq!(ingest.missing(), [1000..5000, 6000..LENGTH as u64]);
    assert_eq!(ingest.present(), 2000);
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
    assert!(fixture.store.has_blob(&blob).unwrap());
}

#[test]
fn a_torn_record_loses_only_its_last_line() {
    let fixture = Fixture::new();
    let bytes = content(6, LENGTH);
    let blob = describe(&bytes);
    let record = crate::store::claim::record_path(&fixture.store.ingest_path(&blob.digest));
    let ingest = fixture.fetch(&blob);
    write(&ingest, &bytes, 0..1000);
    ingest.record().unwrap();
    write(&ingest, &bytes, 5000..6000);
    ingest.record().unwrap();
    drop(ingest);
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, &text[..text.len() - 2]).unwrap();
    let ingest = fixture.fetch(&blob);
    assert_eq!(ingest.missing(), [1000..LENGTH as u64]);
    write(&ingest, &bytes, 1000..2000);
    ingest.record().unwrap();
    drop(ingest);
    let ingest = fixture.fetch(&blob);
    assert_eq!(ingest.present(), 2000);
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
}

#[test]
fn bytes_beyond_the_end_of_the_data_are_not_claimed_even_if_the_data_grows_again() {
    let fixture = Fixture::new();
    let bytes = content(7, LENGTH);
    let blob = describe(&bytes);
    let data = fixture.store.ingest_path(&blob.digest);
    let ingest = fixture.fetch(&blob);
    write(&ingest, &bytes, 0..500_000);
    ingest.record().unwrap();
    drop(ingest);
    File::options().write(true).open(&data).unwrap().set_len(1000).unwrap();
    let ingest = fixture.fetch(&blob);
    assert_eq!(ingest.present(), 1000);
    write(&ingest, &bytes, 900_000..LENGTH as u64);
    drop(ingest);
    let ingest = fixture.fetch(&blob);
    assert_eq!(ingest.missing(), [1000..LENGTH as u64]);
    fs::remove_file(&data).unwrap();
    drop(ingest);
    let ingest = fixture.fetch(&blob);
    assert_eq!(ingest.present(), 0);
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
}

#[test]
fn a_record_about_another_size_is_thrown_away() {
    let fixture = Fixture::new();
    let bytes = content(8, LENGTH);
    let blob = describe(&bytes);
    let liar = Descriptor { size: 2 * blob.size, ..blob.clone() };
    let ingest = fixture.fetch(&liar);
    write(&ingest, &bytes, 0..LENGTH as u64);
    ingest.write_at(2 * blob.size - 1, &[b"x"]).unwrap();
    ingest.record().unwrap();
    drop(ingest);
    let ingest = fixture.fetch(&blob);
    assert_eq!(ingest.present(), 0);
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), bytes);
}

#[test]
fn wrong_bytes_are_refused_and_leave_nothing() {
    let fixture = Fixture::new();
    let (bytes, mut wrong) = (content(9, LENGTH), content(9, LENGTH));
    wrong[LENGTH - 1] ^= 1;
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    whole(&ingest, &wrong);
    ingest.record().unwrap();
    assert!(matches!(ingest.commit(), Err(Error::Mismatch(Mismatch::Digest { .. }))));
    assert!(!fixture.store.blob_path(&blob.digest).exists());
    assert!(is_empty(&fixture.store.root().join("ingest")));
    let ingest = fixture.fetch(&blob);
    assert_eq!(ingest.present(), 0);
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
}

#[test]
fn wrong_bytes_of_an_earlier_process_are_found_too() {
    let fixture = Fixture::new();
    let (bytes, wrong) = (content(10, LENGTH), content(11, LENGTH));
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    write(&ingest, &wrong, 500_000..600_000);
    ingest.record().unwrap();
    drop(ingest);
    let ingest = fixture.fetch(&blob);
    whole(&ingest, &bytes);
    assert!(matches!(ingest.commit(), Err(Error::Mismatch(_))));
    assert!(!fixture.store.has_blob(&blob).unwrap());
}

#[test]
fn an_incomplete_blob_is_not_committed_and_stays() {
    let fixture = Fixture::new();
    let bytes = content(12, 1000);
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    write(&ingest, &bytes, 0..999);
    ingest.record().unwrap();
    assert!(matches!(ingest.commit(), Err(Error::Incomplete { missing: 1, .. })));
    assert_eq!(fixture.fetch(&blob).present(), 999);
}

#[test]
fn a_byte_beyond_the_size_is_refused_at_once() {
    let fixture = Fixture::new();
    let ingest = fixture.fetch(&describe(b"hello"));
    assert!(matches!(ingest.write_at(3, &[b"low"]), Err(Error::Mismatch(Mismatch::Size { seen: 6, .. }))));
    assert!(matches!(ingest.write_at(u64::MAX, &[b"low"]), Err(Error::Mismatch(_))));
}

#[test]
fn a_discarded_ingest_starts_from_nothing() {
    let fixture = Fixture::new();
    let bytes = content(13, 1000);
    let mut ingest = fixture.fetch(&describe(&bytes));
    ingest.write_at(0, &[&content(14, 1000)]).unwrap();
    ingest.record().unwrap();
    ingest.discard().unwrap();
    assert_eq!(ingest.present(), 0);
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
}

#[test]
fn the_empty_blob_and_sha512_are_blobs_like_others() {
    let fixture = Fixture::new();
    let empty = fixture.put(b"");
    assert_eq!(fixture.store.read_blob(&empty).unwrap(), b"");
    let digest = Digest::of(crate::digest::Algorithm::Sha512, b"hello");
    fixture.store.put_blob(&fixture.lease, b"hello", &digest).unwrap();
    assert!(fixture.store.blob_path(&digest).ends_with(format!("blobs/sha512/{}", digest.hex())));
}

#[test]
fn a_blob_that_appeared_meanwhile_is_replaced_by_the_verified_one() {
    let fixture = Fixture::new();
    let bytes = content(15, 1000);
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    fs::write(fixture.store.blob_path(&blob.digest), content(16, 1000)).unwrap();
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), bytes);
    assert!(matches!(fixture.store.ingest(&fixture.lease, &blob).unwrap(), Claim::Present));
}

/// Claims `blob` as another process would and reports when it has it.
fn claim_elsewhere(fixture: &Fixture, blob: &Descriptor) -> mpsc::Receiver<Claim> {
    let (store, lease, blob) = (fixture.reopen(), fixture.lease.clone(), blob.clone());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(store.ingest(&lease, &blob).unwrap()));
    receiver
}

#[test]
fn the_second_of_two_waits_and_finds_the_blob_present() {
    let fixture = Fixture::new();
    let bytes = content(17, 1000);
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    assert!(fixture.reopen().try_ingest(&fixture.lease, &blob).unwrap().is_none());
    let second = claim_elsewhere(&fixture, &blob);
    assert!(second.recv_timeout(Duration::from_millis(100)).is_err());
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
    assert!(matches!(second.recv().unwrap(), Claim::Present));
    assert!(is_empty(&fixture.store.root().join("ingest")));
}

#[test]
fn the_second_of_two_goes_on_where_the_first_gave_up() {
    let fixture = Fixture::new();
    let bytes = content(18, 1000);
    let blob = describe(&bytes);
    let ingest = fixture.fetch(&blob);
    write(&ingest, &bytes, 0..600);
    ingest.record().unwrap();
    let second = claim_elsewhere(&fixture, &blob);
    drop(ingest);
    let Claim::Fetch(ingest) = second.recv().unwrap() else { panic!("nobody committed") };
    assert_eq!(ingest.missing(), [600..1000]);
    whole(&ingest, &bytes);
    ingest.commit().unwrap();
}

#[test]
fn of_eight_that_want_a_blob_one_fetches_it() {
    let fixture = Fixture::new();
    let bytes = content(19, 100_000);
    let blob = describe(&bytes);
    let fetched = std::sync::atomic::AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = fixture.reopen();
                if let Claim::Fetch(ingest) = store.ingest(&store.lease(&[]).unwrap(), &blob).unwrap() {
                    fetched.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    whole(&ingest, &bytes);
                    ingest.commit().unwrap();
                }
            });
        }
    });
    assert_eq!(fetched.into_inner(), 1);
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), bytes);
}

#[test]
fn a_crash_between_rename_and_cleaning_up_is_a_present_blob() {
    let fixture = Fixture::new();
    let blob = fixture.put(b"hello");
    let path = fixture.store.ingest_path(&blob.digest);
    fs::write(&path, "").unwrap();
    fs::write(crate::store::claim::record_path(&path), format!("artishim-ingest 1 {} 5\n0 5\n", blob.digest)).unwrap();
    assert!(matches!(fixture.store.ingest(&fixture.lease, &blob).unwrap(), Claim::Present));
    fs::remove_file(fixture.store.blob_path(&blob.digest)).unwrap();
    assert_eq!(fixture.fetch(&blob).present(), 0);
}

#[test]
fn a_crash_just_before_the_rename_is_a_complete_ingest() {
    let fixture = Fixture::new();
    let blob = describe(b"hello");
    let ingest = fixture.fetch(&blob);
    ingest.write_at(0, &[b"hello"]).unwrap();
    ingest.record().unwrap();
    drop(ingest);
    let data = fixture.store.ingest_path(&blob.digest);
    let mut permissions = fs::metadata(&data).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&data, permissions).unwrap();
    fixture.fetch(&blob).commit().unwrap();
    assert!(fixture.store.has_blob(&blob).unwrap());
}

#[test]
fn a_kill_between_taking_the_record_away_and_the_rename_loses_nothing() {
    for (content, is_right) in [(b"hello", true), (b"hullo", false)] {
        let fixture = Fixture::new();
        let blob = describe(b"hello");
        let ingest = fixture.fetch(&blob);
        ingest.write_at(0, &[content]).unwrap();
        ingest.record().unwrap();
        drop(ingest);
        let data = fixture.store.ingest_path(&blob.digest);
        fs::remove_file(data.with_extension("ranges")).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o444)).unwrap();
        // Killed once more, before it commits.
        drop(fixture.fetch(&blob));
        let ingest = fixture.fetch(&blob);
        assert_eq!(ingest.missing(), []);
        assert_eq!(ingest.commit().is_ok(), is_right);
        assert_eq!(fixture.store.has_blob(&blob).unwrap(), is_right);
        assert!(is_empty(&fixture.store.root().join("ingest")));
    }
}

#[test]
fn a_blob_larger_than_the_filesystem_is_refused_before_its_first_byte() {
    let fixture = Fixture::new();
    let blob = Descriptor::new("", Digest::sha256(b"x"), 1 << 60);
    assert!(matches!(fixture.store.ingest(&fixture.lease, &blob), Err(Error::NoSpace { .. })));
    assert!(!fixture.store.ingest_path(&blob.digest).exists());
}

#[test]
fn a_blob_of_which_nothing_comes_takes_no_room() {
    let fixture = Fixture::new();
    let blob = Descriptor::new("", Digest::sha256(b"x"), 64 << 20);
    let data = fixture.store.ingest_path(&blob.digest);
    let allocated = || fs::metadata(&data).unwrap().blocks() * 512;
    let ingest = fixture.fetch(&blob);
    assert!(allocated() < 1 << 20, "{}", allocated());
    ingest.write_at(1000, &[b"x"]).unwrap();
    assert!(allocated() >= 64 << 20, "{}", allocated());
    drop(ingest);
    assert!(is_empty(&fixture.store.root().join("ingest")), "nothing was recorded");
    let ingest = fixture.fetch(&blob);
    ingest.write_at(1000, &[b"x"]).unwrap();
    ingest.write_at(48 << 20, &[b"y"]).unwrap();
    ingest.record().unwrap();
    drop(ingest);
    assert!(allocated() < 1 << 20, "what did not come is given back: {}", allocated());
    let (ingest, staged) = (fixture.fetch(&blob), fs::read(&data).unwrap());
    assert_eq!((ingest.present(), staged[1000], staged[48 << 20]), (2, b'x', b'y'));
}

#[test]
fn putting_the_wrong_bytes_is_a_mismatch() {
    let fixture = Fixture::new();
    let digest = Digest::sha256(b"hello");
    assert!(matches!(fixture.store.put_blob(&fixture.lease, b"hullo", &digest), Err(Error::Mismatch(_))));
    assert!(!fixture.store.blob_path(&digest).exists());
}
