import ArgumentParser
import Compute
import ComputeOpenCL
import Foundation
import Parity

struct ParityCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parity",
    abstract: "Check every kernel of a device against the CPU.",
    discussion: """
      Runs each operation forward and backward, alone and as the device fuses it: at \
      awkward sizes against plain loops in double precision, at the networks' sizes \
      against the CPU backend; then ten steps of training of both networks beside \
      the CPU's. Needs no recordings. Ends with 69 where a case is missed: a device \
      that computes wrongly is none to train on.
      """)

  @Option(
    help: .init("gpu, gpu:N, auto or cpu. (default: gpu)", valueName: "device"),
    completion: .list(["gpu", "auto", "cpu"]), transform: DeviceChoice.parse)
  var device: DeviceChoice?
  @Option(
    help: .init("fp32 or fp16. (default: fp32)", valueName: "precision"),
    completion: .list(PrecisionChoice.names), transform: OptionValue.choice)
  var precision: PrecisionChoice?
  @Option(
    help: .init(
      "Samples a batch at the networks' sizes. (default: 16, where OpenCL runs on the "
        + "processor 4)", valueName: "number"),
    transform: OptionValue.number(1...4096))
  var batchSize: Int?
  @Flag(help: "Leave out the networks' sizes and the training.")
  var quick = false
  @Option(
    help: .init("Threads of the CPU backend. (default: one per core)", valueName: "number"),
    transform: OptionValue.number(1...1024))
  var threads: Int?
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let console = output.console
    let threads = ThreadCount(threads).threads
    let settings = try DeviceSettings(
      choice: device ?? .gpu(nil), precision: precision ?? .auto, threads: threads)
    let isGPU = settings.candidate.map { $0.kind != .cpu } ?? false
    let opened = try settings.openUnchecked()
    if let path = (opened as? OpenCLDevice)?.halfPathSentence { console.note(path) }
    func run(_ device: any Device) -> ParityRun {
      ParityRun(
        device: device, batchSize: batchSize ?? (isGPU ? 16 : 4), isQuick: quick, threads: threads)
    }
    let subject = ParityDevice(settings.candidate, name: opened.name)
    if !output.json { try console.result(subject.header + "\n" + ParityTable.header) }
    var results = try results(of: run(opened), console: console)
    for arithmetic in settings.otherHalfPaths {
      results += try self.results(
        of: run(settings.openUnchecked(arithmetic)),
        prefix: "\(arithmetic.halfPath.rawValue) half: ", console: console)
    }
    let missed = results.count { !$0.passes }
    if output.json {
      try console.result(
        json: ParityDocument(
          device: subject, cases: results.map(ParityDocument.Case.init), missed: missed))
    } else {
      try console.result("\n" + ParityTable.summary(results, isQuick: quick))
    }
    guard missed == 0 else {
      throw CommandFailure(
        .unavailable,
        "\(opened.name) missed \(missed) of \(Figure.count(results.count, "case")): it is not a device "
          + "to train on. Please report it with this output")
    }
  }

  /// Every result, printed as soon as it is there: should the driver end the process, the output
  /// says where.
  private func results(
    of run: ParityRun, prefix: String = "", console: Console
  ) throws -> [ParityResult] {
    var results: [ParityResult] = []
    var failure: (any Error)?
    try run.run(
      willRun: { title, done in
        console.progress("\(Figure.percent(done).prefix { $0 != "." }) %  \(title)")
      },
      report: { result in
        let result = result.prefixed(prefix)
        results.append(result)
        guard !output.json, failure == nil else { return }
        do { try console.result(ParityTable.lines(of: result)) } catch { failure = error }
      })
    console.clearProgress()
    if let failure { throw failure }
    return results
  }
}

/// The device of a parity run, as the report names it.
struct ParityDevice: Encodable {
  let name: String
  let program = Version.program
  var index: Int?
  var type: String?
  var platform: String?
  var platformVersion: String?
  var driver: String?

  enum CodingKeys: String, CodingKey {
    case name, index, type, platform, driver
    case program = "semg_train"
    case platformVersion = "platform_version"
  }

  init(_ device: OpenCLDeviceDescription?, name: String) {
    self.name = name
    guard let device else { return }
    index = device.index
    type = device.kindName
    platform = device.platformName
    platformVersion = device.platformVersion
    driver = device.driver
  }

  var header: String {
    var text = "device: \(name)"
    if let index, let platform, let platformVersion, let driver, let type {
      text +=
        " (gpu:\(index), \(type))\nplatform: \(platform), \(platformVersion)\n"
        + "driver: \(driver)"
    }
    return text + "\nsemg-train \(program)\n"
  }
}

/// What `--json` prints.
struct ParityDocument: Encodable {
  struct Case: Encodable {
    let name: String
    let shape: String
    /// Null where the device gave no number.
    let error: Double?
    let bound: Double?
    let pass: Bool
    /// The launch and the tensor that the error is of.
    let worst: String
    let misses: [String]

    init(_ result: ParityResult) {
      name = result.name
      shape = result.shape
      error = result.error.flatMap { $0.isFinite ? $0 : nil }
      bound = result.bound
      pass = result.passes
      worst = result.worst
      misses = result.misses
    }

    enum CodingKeys: CodingKey { case name, shape, error, bound, pass, worst, misses }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(name, forKey: .name)
      try container.encode(shape, forKey: .shape)
      try container.encode(error, forKey: .error)
      try container.encode(bound, forKey: .bound)
      try container.encode(pass, forKey: .pass)
      try container.encode(worst, forKey: .worst)
      try container.encode(misses, forKey: .misses)
    }
  }

  let device: ParityDevice
  let cases: [Case]
  let missed: Int
}

/// The report for people: columns of fixed widths, so that lines can be printed as they come.
enum ParityTable {
  private static let widths = [48, 52]

  static let header = line(["case", "sizes", "error", "bound", ""])

  static func lines(of result: ParityResult) -> String {
    let line = line([
      result.name, result.shape, figure(result.error), figure(result.bound),
      result.passes ? "pass" : "MISS",
    ])
    let misses = result.misses.prefix(4).map { "  \($0)" }
    let more = result.misses.count - misses.count
    return ([line] + misses + (more > 0 ? ["  and \(more) more"] : [])).joined(separator: "\n")
  }

  static func summary(_ results: [ParityResult], isQuick: Bool) -> String {
    let missed = results.count { !$0.passes }
    let scope = isQuick ? " (without the networks' sizes and the training)" : ""
    return missed == 0
      ? "all \(results.count) cases pass\(scope)"
      : "\(missed) of \(results.count) cases missed\(scope)"
  }

  private static func figure(_ value: Double?) -> String {
    guard let value else { return "-" }
    guard value.isFinite, value != 0 else { return "\(value)" }
    var exponent = Int(log10(abs(value)).rounded(.down))
    var digits = (value / pow(10, Double(exponent)) * 10).rounded() / 10
    if abs(digits) >= 10 { (digits, exponent) = (digits / 10, exponent + 1) }
    let power = abs(exponent) < 10 ? "0\(abs(exponent))" : "\(abs(exponent))"
    return "\(digits)e\(exponent < 0 ? "-" : "+")\(power)"
  }

  private static func line(_ cells: [String]) -> String {
    let texts = zip(cells, widths).map { text, width in
      text.count > width
        ? text.prefix(width - 1) + "…" : text + String(repeating: " ", count: width - text.count)
    }
    let figures = cells[2...3].map {
      String(repeating: " ", count: max(0, 8 - $0.count)) + $0
    }
    let line = (texts + figures + [cells[4]]).joined(separator: "  ")
    return String(line.reversed().drop { $0 == " " }.reversed())
  }
}
