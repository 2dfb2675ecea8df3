//! Columns as podman aligns them: Go's tabwriter with cells of at least twelve characters, two of them space.

const SMALLEST_CELL: usize = 12;
const SPACE: usize = 2;

/// Aligned lines, each with its line end; the heading, if any, is the first row.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count).map(|column| width(rows, column)).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn width(rows: &[Vec<String>], column: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(column));
    let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or_default();
    SMALLEST_CELL.max(longest + SPACE)
}

/// The last cell of a line is not padded.
fn line(row: &[String], widths: &[usize]) -> String {
    let Some((last, cells)) = row.split_last() else { return "\n".to_owned() };
    let padded: String = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{padded}{last}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    #[test]
    fn a_list_looks_like_podmans() {
        let heading = row(&["REPOSITORY", "TAG", "DIGEST", "CREATED", "SIZE"]);
        assert_eq!(columns(std::slice::from_ref(&heading)), "REPOSITORY  TAG         DIGEST      CREATED     SIZE\n");
        let rows = [
            heading,
            row(&["rlcr.io/ramalama/gemma3-270m", "gguf", "5a636f3c8508", "22 seconds ago", "253MB"]),
            row(&["a1", "", "8848cbe11086", "", "0B"]),
        ];
        let expected = "\
REPOSITORY                    TAG         DIGEST        CREATED         SIZE
rlcr.io/ramalama/gemma3-270m  gguf        5a636f3c8508  22 seconds ago  253MB
a1                                        8848cbe11086                  0B
";
        assert_eq!(columns(&rows), expected);
        assert_eq!(columns(&[]), "");
    }
}
