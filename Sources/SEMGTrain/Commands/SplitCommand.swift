import ArgumentParser
import Foundation
import Recordings

struct SplitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "split",
    abstract: "Print which recording is in which part, as CSV; train --split reads it.",
    discussion:
      "By the recordings' paths alone: what is in them is not looked at, which inspect does.")

  @OptionGroup(title: "Recordings") var data: DataOptions
  @OptionGroup(title: "Split") var split: SplitOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  private struct Row: Encodable {
    let recording: String
    let part: String
  }

  func run() throws {
    let console = output.console
    let settings = try DataSettings(data, threads: 1)
    let selected = try settings.select(by: SplitSettings(split))
    try RecordingProblems.check(selected.problems, skipping: data.skipBad)
    for problem in selected.problems { console.warning("skipped: \(problem)") }
    let unused = selected.split.parts.count { $0 == nil }
    if unused > 0 {
      console.note("\(Figure.count(unused, "recording")) of other sessions in no part")
    }
    if output.json {
      let rows = zip(selected.descriptors, selected.split.parts).compactMap { recording, part in
        part.map { Row(recording: recording.path, part: $0.rawValue) }
      }
      try console.result(json: rows)
    } else {
      try console.result(verbatim: selected.split.csv(of: selected.descriptors))
    }
  }
}
