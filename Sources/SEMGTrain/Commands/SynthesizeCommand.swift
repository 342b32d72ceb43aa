import ArgumentParser
import Foundation
import Recordings
import SignalPreparation
import Training

struct SynthesizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synthesize",
    abstract: "Make a set of plausible recordings, to try things with.")

  @Argument(
    help: .init("The directory to make; it must not hold anything yet.", valueName: "dir"),
    completion: .directory)
  var directory: String
  @Option(
    help: .init("People. (default: 5)", valueName: "number"), transform: OptionValue.number(1...999)
  )
  var subjects = 5
  @Option(
    help: .init("Sessions of each. (default: 3)", valueName: "number"),
    transform: OptionValue.number(1...999))
  var sessions = 3
  @Option(
    help: .init("Gestures. (default: 5)", valueName: "number"),
    transform: OptionValue.number(1...999))
  var gestures = 5
  @Option(
    help: .init("Recordings of each gesture in a session. (default: 7)", valueName: "number"),
    transform: OptionValue.number(1...999))
  var trials = 7
  @Option(
    help: .init("Samples of a recording. (default: 2560)", valueName: "number"),
    transform: OptionValue.number(1...10_000_000))
  var samples = 2560
  @Option(
    help: .init("Samples a second. (default: 512)", valueName: "hertz"),
    transform: OptionValue.positive)
  var sampleRate: Double?
  @Option(
    help: .init("The same seed makes the same recordings. (default: 42)", valueName: "number"),
    transform: OptionValue.seed)
  var seed: UInt64?
  @Option(
    help: .init("Threads. (default: one per core)", valueName: "number"),
    transform: OptionValue.number(1...1024))
  var threads: Int?
  @OptionGroup(title: "Output") var output: OutputOptions

  private struct Document: Encodable {
    let directory: String
    let recordings: Int
  }

  func run() throws {
    let console = output.console
    let synthesizer = Synthesizer(
      subjects: subjects, sessions: sessions, gestures: gestures, trials: trials, samples: samples,
      sampleRate: sampleRate ?? 512, seed: seed ?? 42)
    console.note("making \(Figure.count(synthesizer.recordingCount, "recording"))")
    try synthesizer.write(
      to: directory, threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    if output.json {
      try console.result(
        json: Document(directory: directory, recordings: synthesizer.recordingCount))
    } else {
      try console.result(
        "\(directory): \(Figure.count(synthesizer.recordingCount, "recording")); " + advice)
    }
  }

  /// How to train on them, or why nobody can.
  private var advice: String {
    let rate = sampleRate ?? 512
    let fewest = (try? Preparation(sampleRate: rate, threads: 1).minimumSamples) ?? 0
    if samples < fewest {
      return "too short to be trained on, which takes \(fewest) samples or more"
    }
    if gestures < 2 || sessions < 3 || trials * subjects < 2 {
      return "too few to be trained on, which takes 2 gestures, 3 sessions and 2 recordings per "
        + "gesture in each"
    }
    return "to train on them: semg-train --data \(directory)"
      + (rate == 512 ? "" : " --sample-rate \(Figure.plain(rate))")
  }
}
