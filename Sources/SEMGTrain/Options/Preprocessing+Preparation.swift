import Artifacts
import Foundation
import Recordings
import SignalPreparation
import SignalProcessing
import Training

extension Preprocessing {
  /// What was done to the recordings of a training.
  init(_ data: DataSettings, preparation: Preparation, prepared: PreparedRecordings, recipe: Recipe)
  {
    let band = preparation.filter.bandHertz
    self.init(
      sampleRate: data.sampleRate, channels: data.channels.columns,
      filter: Filter(
        lowHertz: band.lowerBound, highHertz: band.upperBound,
        notchHertz: data.filters.notchHertz, notchQuality: data.filters.notchQuality),
      windowLength: preparation.windows.length, windowStride: preparation.windows.stride,
      mean: prepared.standardization.mean, deviation: prepared.standardization.deviation,
      gestures: prepared.classes, recipe: recipe.rawValue,
      scale: data.scale == 1 ? nil : data.scale, recordings: prepared.profile)
  }

  /// How recordings are prepared as they were for training.
  ///
  /// - Parameter file: where this was read from, for messages.
  /// - Throws: `CommandFailure` (78) where the options ask for something else, (65) where the file
  ///   was edited so that nothing can be prepared by it.
  func preparation(
    _ options: SignalOptions, file: String, threads: Int, skipsBadRecordings: Bool,
    console: Console
  ) throws -> Preparation {
    try check(options)
    var filters = FilterSettings()
    filters.lowHertz = filter.lowHertz
    filters.highHertz = filter.highHertz
    filters.notchHertz = filter.notchHertz
    filters.notchQuality = filter.notchQuality ?? filters.notchQuality
    if let given = options.channels, given.columns != channels {
      console.note(
        "the channels are the columns \(given) of these recordings; in the training they were the "
          + "columns \(selection?.description ?? "\(channels)")")
    }
    guard let selection = options.channels ?? selection else {
      throw Self.refusal(
        file, found: "channels \(channels)", expected: "columns from 1 to 4096, none twice")
    }
    guard let geometry = try? WindowGeometry(sampleRate: sampleRate),
      geometry.length == windowLength, geometry.stride == windowStride
    else {
      let geometry = try? WindowGeometry(sampleRate: sampleRate)
      let rate = Figure.plain(sampleRate)
      throw Self.refusal(
        file, found: "window_length \(windowLength) and window_stride \(windowStride)",
        expected: geometry.map { "\($0.length) and \($0.stride) by sample_rate \(rate)" }
          ?? "a sample_rate that windows can be cut at, not \(rate)")
    }
    return try Preparation(
      sampleRate: sampleRate, channels: selection, filters: filters, threads: threads,
      skipsBadRecordings: skipsBadRecordings, scale: options.scale ?? scale ?? 1,
      allowsMismatch: options.allowMismatch, choosesChannels: options.channels != nil)
  }

  /// Finds what a network beside it contradicts.
  ///
  /// - Parameters:
  ///   - file: where this was read from, and `model` the network; for messages.
  ///   - time: samples of the network's windows.
  /// - Throws: `CommandFailure` (65): both come from one training.
  func check(_ file: String, against model: String, time: Int, channels: Int, classes: Int) throws {
    for (found, value, expected) in [
      (Figure.count(self.channels.count, "channel"), self.channels.count, channels),
      ("window_length \(windowLength)", windowLength, time),
      (Figure.count(gestures.count, "gesture"), gestures.count, classes),
    ] where value != expected {
      throw Self.refusal(file, found: found, expected: "\(expected), as \(model) has")
    }
  }

  /// Finds weights of the ensemble that are not those of its models.
  ///
  /// - Parameters:
  ///   - file: where this was read from, for messages.
  ///   - models: those of the ensemble, and `known` all that there can be.
  /// - Throws: `CommandFailure` (65).
  func check(_ file: String, ensembleWeightsOf models: [String], known: [String]) throws {
    guard let ensembleWeights else { return }
    let expected = "a weight for each model, \(known.joined(separator: " and "))"
    for name in ensembleWeights.keys.sorted() where !known.contains(name) {
      throw Self.refusal(file, found: "an ensemble weight for \(name)", expected: expected)
    }
    for name in models where ensembleWeights[name] == nil {
      throw Self.refusal(file, found: "no ensemble weight for \(name)", expected: expected)
    }
  }

  /// What contradicts itself in a file that nobody knows to be as the training wrote it, without being
  /// impossible; and what is missing.
  var oddities: [String] {
    guard let recordings else {
      return [
        "it says nothing about the training's recordings: names, order and level of the channels "
          + "cannot be compared"
      ]
    }
    let ratios = zip(deviation, recordings.deviation).map { $1 > 0 ? $0 / $1 : 1 }
    guard recipe == Recipe.standard.rawValue,
      let channel = ratios.firstIndex(where: { !(0.1...10).contains($0) })
    else { return [] }
    return [
      "deviation \(RecordingMismatch.figure(deviation[channel])) of channel \(channel + 1) is far from "
        + "recordings.usual_deviation \(RecordingMismatch.figure(recordings.deviation[channel])): one of "
        + "them may have been edited"
    ]
  }

  private static func refusal(_ file: String, found: String, expected: String) -> CommandFailure {
    let error = RunDirectoryError.badContent(path: file, found: found, expected: expected)
    return CommandFailure(.badData, error.description)
  }

  var standardization: Standardization { Standardization(mean: mean, deviation: deviation) }

  private var selection: ChannelSelection? {
    ChannelSelection(channels.map(String.init).joined(separator: ","))
  }

  private func check(_ options: SignalOptions) throws {
    func refuse(_ option: String, _ asked: String, _ trained: String) -> CommandFailure {
      CommandFailure(
        .contradiction,
        "\(option) \(asked) is given, but the models were trained with \(trained); drop \(option)")
    }
    if let rate = options.sampleRate, rate != sampleRate {
      throw refuse("--sample-rate", Figure.plain(rate), Figure.plain(sampleRate))
    }
    if let given = options.channels, given.count != channels.count {
      throw CommandFailure(
        .contradiction,
        "--channels \(given) names \(Figure.count(given.count, "column")), but the models were "
          + "trained on \(Figure.count(channels.count, "channel")), the columns "
          + "\(selection?.description ?? "\(channels)") of their recordings; name as many")
    }
    if options.notch != nil, options.filters.notchHertz != filter.notchHertz {
      throw refuse(
        "--notch", options.filters.notchHertz.map(Figure.plain) ?? "off",
        filter.notchHertz.map(Figure.plain) ?? "off")
    }
  }
}
