import ArgumentParser
import Recordings
import Training

/// How a command talks; every command has these.
struct OutputOptions: ParsableArguments {
  @Flag(help: "JSON on standard output, and nothing else there; of predict, a line per recording.")
  var json = false
  @Flag(help: "No progress and no advice: results, warnings and errors only.")
  var quiet = false

  var console: Console { Console(isQuiet: quiet) }
}

/// Where recordings lie and how they are read.
struct DataOptions: ParsableArguments {
  static let defaultDirectory = "data"

  @Option(help: .init("The directory of the recordings.", valueName: "dir"), completion: .directory)
  var data = DataOptions.defaultDirectory
  @OptionGroup var signal: SignalOptions
  @Flag(help: "Go on without bad recordings; they are counted in the output.")
  var skipBad = false
}

/// What the columns of a recording are.
struct ColumnOptions: ParsableArguments {
  @Option(
    help: .init(
      "Columns that are channels. (default: 1-8, or a trained model's)", valueName: "columns"),
    transform: OptionValue.channels)
  var channels: ChannelSelection?
  @Option(
    help: .init("Samples per second. (default: 512, or a trained model's)", valueName: "hertz"),
    transform: OptionValue.positive)
  var sampleRate: Double?
}

/// What the columns of a recording are, and which frequencies are taken out.
struct SignalOptions: ParsableArguments {
  @OptionGroup var columns: ColumnOptions
  @Option(
    help: .init(
      "What the files' numbers are multiplied by, to change their unit: 1e-6 makes volts of "
        + "microvolts. (default: 1, or a trained model's)", valueName: "factor"),
    transform: OptionValue.positive)
  var scale: Double?
  @Flag(
    name: [.long, .customLong("allow-scale")],
    help: "Go on with recordings that are not what the others are, or what a model was trained on.")
  var allowMismatch = false
  @Option(
    help: .init(
      "The mains frequency to take out, or off. (default: 50, or a trained model's)",
      valueName: "hertz|off"),
    transform: Notch.parse)
  var notch: Notch?

  var channels: ChannelSelection? { columns.channels }
  var sampleRate: Double? { columns.sampleRate }
}

/// Which recording is trained on, which chooses the best epoch, which is tested on.
struct SplitOptions: ParsableArguments {
  @Option(
    help: .init(
      "A split to use, as semg-train split writes it. (default: a trained model's)",
      valueName: "file.csv"),
    completion: .file(extensions: ["csv"]))
  var split: String?
  @Option(
    help: .init("Sessions to train on. (default: 1,2, or a trained model's)", valueName: "numbers"),
    transform: OptionValue.numbers)
  var trainSessions: Set<Int>?
  @Option(
    help: .init(
      "Sessions to halve into test and validation. (default: 3, or a trained model's)",
      valueName: "numbers"),
    transform: OptionValue.numbers)
  var testSessions: Set<Int>?
  @Option(
    help: .init("Subjects to test on and on nothing else.", valueName: "numbers"),
    transform: OptionValue.numbers)
  var heldOutSubjects: Set<Int>?
  @Option(
    help: .init(
      "Seed of the split and of all random draws. (default: \(TrainingRecipe.standard.seed), "
        + "or a trained model's)",
      valueName: "number"),
    transform: OptionValue.seed)
  var seed: UInt64?
}

/// Where the arithmetic is done.
struct DeviceOptions: ParsableArguments {
  @Option(
    help: .init("auto, cpu, gpu, or gpu:N. (default: auto)", valueName: "device"),
    completion: .list(["auto", "cpu", "gpu"]), transform: DeviceChoice.parse)
  var device: DeviceChoice?
  @Option(
    help: .init("auto, fp32 or fp16. (default: auto)", valueName: "precision"),
    completion: .list(PrecisionChoice.names), transform: OptionValue.choice)
  var precision: PrecisionChoice?
  @Option(
    help: .init("Threads. (default: one per core)", valueName: "number"),
    transform: OptionValue.number(1...1024))
  var threads: Int?
}
